/** The shared contract on facebook. */
import { testPlatform } from './contract.js';

testPlatform('facebook', { keepsRetryTimeToItself: true });
