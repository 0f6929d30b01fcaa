/** The shared contract on mastodon. */
import { testPlatform } from './contract.js';

testPlatform('mastodon');
