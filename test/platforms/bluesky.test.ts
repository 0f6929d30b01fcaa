/** The shared contract on bluesky. */
import { testPlatform } from './contract.js';

testPlatform('bluesky', { handle: 'ada.bsky.social' });
