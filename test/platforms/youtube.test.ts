/** The shared contract on youtube. */
import { testPlatform } from './contract.js';

testPlatform('youtube', { options: { title: 'A title', visibility: 'public' }, keepsRefreshToken: true, refusesMarkup: true });
