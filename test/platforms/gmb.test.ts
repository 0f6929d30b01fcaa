/** The shared contract on gmb. */
import { testPlatform } from './contract.js';

testPlatform('gmb', { keepsRefreshToken: true });
