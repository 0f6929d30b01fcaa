/** The shared contract on reddit. */
import { testPlatform } from './contract.js';

testPlatform('reddit', { options: { title: 'A title', subreddit: 'test' } });
