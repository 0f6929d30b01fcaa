/** The shared contract on snapchat. */
import { testPlatform } from './contract.js';

testPlatform('snapchat', { options: { spotlight: true }, mediaKind: 'video' });
