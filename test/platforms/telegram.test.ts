/** The shared contract on telegram. */
import { testPlatform } from './contract.js';

testPlatform('telegram', { handle: 'ada_news' });
