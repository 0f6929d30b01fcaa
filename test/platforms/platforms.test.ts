/** The shared contract on every platform, one line each. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { platforms } from '../../src/platforms/registry.js';
import { testPlatform, testedPlatforms } from './contract.js';

testPlatform('bluesky', { handle: 'ada.bsky.social' });
testPlatform('discord');
testPlatform('facebook', { keepsRetryTimeToItself: true, processedOptions: { reels: true } });
testPlatform('gmb', { keepsRefreshToken: true });
testPlatform('instagram', { prepares: true, keepsRefreshToken: true, keepsRetryTimeToItself: true });
testPlatform('linkedin');
testPlatform('mastodon');
testPlatform('pinterest');
testPlatform('reddit', { options: { title: 'A title', subreddit: 'test' } });
testPlatform('slack');
testPlatform('snapchat', { options: { spotlight: true }, mediaKind: 'video' });
testPlatform('telegram', { handle: 'ada_news' });
testPlatform('threads', { prepares: true, keepsRefreshToken: true, keepsRetryTimeToItself: true });
testPlatform('tiktok');
testPlatform('twitter');
testPlatform('youtube', { options: { title: 'A title', visibility: 'public' }, keepsRefreshToken: true, refusesMarkup: true });

it('leaves no platform of the registry out', () => {
  assert.deepEqual(testedPlatforms, platforms.map((platform) => platform.id));
});
