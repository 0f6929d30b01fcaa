/** The shared contract on discord. */
import { testPlatform } from './contract.js';

testPlatform('discord');
