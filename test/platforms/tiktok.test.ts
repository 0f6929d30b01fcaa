/** The shared contract on tiktok. */
import { testPlatform } from './contract.js';

testPlatform('tiktok');
