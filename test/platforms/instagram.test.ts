/** The shared contract on instagram. */
import { testPlatform } from './contract.js';

testPlatform('instagram', { prepares: true, keepsRetryTimeToItself: true });
