/** The shared contract on twitter. */
import { testPlatform } from './contract.js';

testPlatform('twitter');
