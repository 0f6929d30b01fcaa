/** The shared contract on slack. */
import { testPlatform } from './contract.js';

testPlatform('slack');
