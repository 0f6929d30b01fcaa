/** The shared contract on pinterest. */
import { testPlatform } from './contract.js';

testPlatform('pinterest');
