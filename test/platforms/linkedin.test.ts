/** The shared contract on linkedin. */
import { testPlatform } from './contract.js';

testPlatform('linkedin', { keepsRetryTimeToItself: true });
