/** The shared contract on threads. */
import { testPlatform } from './contract.js';

testPlatform('threads', { prepares: true, keepsRetryTimeToItself: true });
