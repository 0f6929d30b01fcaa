/** The simulated networks refuse what the real ones refuse, in their own error shapes: a request that passes here is one that is documented. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import axios, { type AxiosResponse } from 'axios';
import { findPlatform } from '../../src/platforms/registry.js';
import { connect, ioFor, openSimulator, type TestSimulator } from './simulated.js';

interface Wrong {
  network: string;
  what: string;
  /** Below the network's API; `{me}` is the account's id there. */
  path: string;
  body: Record<string, unknown>;
  headers?: Record<string, string>;
  method?: 'GET';
  says: RegExp;
}

const IG = '/v23.0/{me}/media';
const TWEETS = '/2/tweets';
const STATUSES = '/api/v1/statuses';
const RESTLI = { 'linkedin-version': '202609', 'x-restli-protocol-version': '2.0.0' };
const RECORDS = '/xrpc/com.atproto.repo.createRecord';
const record = (fields: Record<string, unknown>): Record<string, unknown> => ({
  repo: '{me}', collection: 'app.bsky.feed.post', rkey: '3jzfcijpj2z2a', record: { $type: 'app.bsky.feed.post', text: 'Hi', createdAt: new Date().toISOString(), ...fields },
});
const image = { image: { ref: { $link: 'bafkreiunknown' } }, alt: '' };
const TIKTOK_JSON = { 'content-type': 'application/json; charset=UTF-8' };
const video = { source_info: { source: 'PULL_FROM_URL', video_url: 'https://example.com/v.mp4' } };

const table: Wrong[] = [
  { network: 'bluesky', what: "somebody else's repository", path: RECORDS, body: { ...record({}), repo: 'did:plc:other' }, says: /Not authorized/ },
  { network: 'bluesky', what: 'a key that is no TID', path: RECORDS, body: { ...record({}), rkey: 'my-key' }, says: /expected a TID/ },
  { network: 'bluesky', what: 'a record of another type', path: RECORDS, body: record({ $type: 'app.bsky.feed.like' }), says: /Invalid \$type/ },
  { network: 'bluesky', what: 'no time of creation', path: RECORDS, body: record({ createdAt: 'yesterday' }), says: /createdAt/ },
  { network: 'bluesky', what: '301 graphemes', path: RECORDS, body: record({ text: 'x'.repeat(301) }), says: /300 graphemes/ },
  { network: 'bluesky', what: 'five images', path: RECORDS, body: record({ embed: { $type: 'app.bsky.embed.images', images: [image, image, image, image, image] } }), says: /more than 4 elements/ },
  { network: 'bluesky', what: 'a blob that was not uploaded', path: RECORDS, body: record({ embed: { $type: 'app.bsky.embed.images', images: [image] } }), says: /Could not find blob/ },
  { network: 'facebook', what: 'another page', path: '/v23.0/1/feed', body: { message: 'Hi' }, says: /administrator of the page/ },
  { network: 'facebook', what: 'a time in a minute', path: '/v23.0/{me}/feed', body: { message: 'Hi', published: false, scheduled_publish_time: Math.floor(Date.now() / 1000) + 60 }, says: /scheduled publish time is invalid/ },
  { network: 'facebook', what: 'an unknown photo', path: '/v23.0/{me}/feed', body: { message: 'Hi', attached_media: [{ media_fbid: '1' }] }, says: /attached_media/ },
  { network: 'instagram', what: 'no media', path: IG, body: { caption: 'Hi' }, says: /image_url is required/ },
  { network: 'instagram', what: 'a file of this machine', path: IG, body: { image_url: 'file:///etc/passwd' }, says: /2207052/ },
  { network: 'instagram', what: 'a carousel of one', path: IG, body: { media_type: 'CAROUSEL', children: '1' }, says: /2 to 10 children/ },
  { network: 'instagram', what: 'a container that was never made', path: '/v23.0/{me}/media_publish', body: { creation_id: '1' }, says: /creation_id/ },
  { network: 'threads', what: 'no media type', path: '/v1.0/{me}/threads', body: { text: 'Hi' }, says: /media_type must be one of/ },
  { network: 'threads', what: 'a carousel of 21', path: '/v1.0/{me}/threads', body: { media_type: 'CAROUSEL', children: Array.from({ length: 21 }, (_, i) => String(i)).join(',') }, says: /2 to 20 children/ },
  { network: 'linkedin', what: 'no version', path: '/rest/posts', body: { author: 'urn:li:person:{me}', commentary: 'Hi', visibility: 'PUBLIC' }, says: /NONEXISTENT_VERSION/ },
  { network: 'linkedin', what: 'another protocol', path: '/rest/posts', headers: { 'linkedin-version': '202609' }, body: { author: 'urn:li:person:{me}', commentary: 'Hi', visibility: 'PUBLIC' }, says: /Protocol-Version/ },
  { network: 'linkedin', what: 'another author', path: '/rest/posts', headers: RESTLI, body: { author: 'urn:li:person:x', commentary: 'Hi', visibility: 'PUBLIC' }, says: /author/ },
  { network: 'linkedin', what: 'an unheard-of visibility', path: '/rest/posts', headers: RESTLI, body: { author: 'urn:li:person:{me}', commentary: 'Hi', visibility: 'SOME' }, says: /visibility/ },
  { network: 'linkedin', what: 'a search without its finder', path: '/rest/posts?q=author', headers: RESTLI, method: 'GET', body: {}, says: /finder/ },
  { network: 'mastodon', what: 'nothing', path: STATUSES, body: { status: ' ' }, says: /can't be blank/ },
  { network: 'mastodon', what: 'an unheard-of visibility', path: STATUSES, body: { status: 'Hi', visibility: 'some' }, says: /Visibility is not included/ },
  { network: 'mastodon', what: 'five files', path: STATUSES, body: { status: 'Hi', media_ids: ['1', '2', '3', '4', '5'] }, says: /more than 4 files/ },
  { network: 'pinterest', what: 'an unknown board', path: '/v5/pins', body: { board_id: '1', media_source: { source_type: 'image_url', url: 'https://example.com/a.jpg' } }, says: /Board not found/ },
  { network: 'reddit', what: 'no title', path: '/api/submit', body: { kind: 'self', sr: 'test' }, says: /NO_TEXT/ },
  { network: 'reddit', what: 'an unheard-of kind', path: '/api/submit', body: { kind: 'poem', sr: 'test', title: 'T' }, says: /INVALID_OPTION/ },
  { network: 'reddit', what: 'a subreddit that cannot be', path: '/api/submit', body: { kind: 'self', sr: '../x', title: 'T' }, says: /SUBREDDIT_NOEXIST/ },
  { network: 'slack', what: 'another channel', path: '/chat.postMessage', body: { channel: 'C1', text: 'Hi' }, says: /channel_not_found/ },
  { network: 'slack', what: 'a block of 3,001 characters', path: '/chat.postMessage', body: { channel: '{me}', text: 'Hi', blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'x'.repeat(3001) } }] }, says: /invalid_blocks/ },
  { network: 'discord', what: 'its own name', path: '/webhooks/{me}/{token}', body: { content: 'Hi', username: 'Discord helper' }, says: /username cannot contain/ },
  { network: 'discord', what: 'nothing', path: '/webhooks/{me}/{token}', body: { content: '' }, says: /empty message/ },
  { network: 'telegram', what: 'another chat', path: '/bot{token}/sendMessage', body: { chat_id: '@other', text: 'Hi' }, says: /chat not found/ },
  { network: 'telegram', what: 'an album of one', path: '/bot{token}/sendMediaGroup', body: { chat_id: '{me}', media: [{ type: 'photo', media: 'https://example.com/a.jpg' }] }, says: /wrong number of items/ },
  { network: 'tiktok', what: 'no character set', path: '/v2/post/publish/video/init/', body: { post_info: { privacy_level: 'SELF_ONLY' }, ...video }, says: /charset=UTF-8/ },
  { network: 'tiktok', what: 'an unheard-of privacy', path: '/v2/post/publish/video/init/', headers: TIKTOK_JSON, body: { post_info: { privacy_level: 'SOME' }, ...video }, says: /privacy_level_option_mismatch/ },
  { network: 'tiktok', what: 'private branded content', path: '/v2/post/publish/video/init/', headers: TIKTOK_JSON, body: { post_info: { privacy_level: 'SELF_ONLY', brand_content_toggle: true }, ...video }, says: /Branded content/ },
  { network: 'tiktok', what: 'a cover that is none of the photos', path: '/v2/post/publish/content/init/', headers: TIKTOK_JSON, body: { media_type: 'PHOTO', post_info: { privacy_level: 'SELF_ONLY' }, source_info: { photo_images: ['https://example.com/a.jpg'], photo_cover_index: 1 } }, says: /photo_cover_index/ },
  { network: 'twitter', what: 'nothing', path: TWEETS, body: {}, says: /Text or media is required/ },
  { network: 'twitter', what: '281 characters', path: TWEETS, body: { text: 'x'.repeat(281) }, says: /too long/ },
  { network: 'twitter', what: 'a poll with one choice', path: TWEETS, body: { text: 'Hi', poll: { duration_minutes: 5, options: ['A'] } }, says: /poll\.options/ },
  { network: 'twitter', what: 'unheard-of reply settings', path: TWEETS, body: { text: 'Hi', reply_settings: 'everyone' }, says: /reply_settings/ },
  { network: 'youtube', what: 'no title', path: '/upload/youtube/v3/videos?uploadType=resumable', body: { snippet: {}, status: {} }, says: /invalidTitle/ },
  { network: 'youtube', what: 'a public video that is to be published later', path: '/upload/youtube/v3/videos?uploadType=resumable', body: { snippet: { title: 'T' }, status: { privacyStatus: 'public', publishAt: '2030-01-01T00:00:00Z' } }, says: /invalidPublishAt/ },
  { network: 'gmb', what: 'an event without one', path: '/v4/accounts/1/locations/{me}/localPosts', body: { summary: 'Hi', topicType: 'EVENT' }, says: /event is required/ },
];

describe('a simulated network refuses', () => {
  let sim: TestSimulator;
  const access = new Map<string, { token: string; me: string }>();
  before(async () => {
    sim = await openSimulator();
    for (const network of new Set(table.map((row) => row.network))) {
      const platform = findPlatform(network)!;
      const { grant } = await connect(platform, ioFor(platform, sim), network === 'bluesky' ? 'ada.bsky.social' : network === 'telegram' ? 'ada_news' : 'ada');
      const { accounts } = (await axios.get<{ accounts: { network: string; id: string }[] }>(`${sim.simulator.url}/simulator/accounts`)).data;
      access.set(network, { token: String(grant.credentials['accessToken']), me: accounts.find((account) => account.network === network)!.id });
    }
  });
  after(() => sim.close());

  for (const { network, what, path, body, headers, method, says } of table) {
    it(`at ${network}: ${what}`, async () => {
      const { token, me } = access.get(network)!;
      const filled = (text: string): string => text.replaceAll('{me}', me).replaceAll('{token}', token);
      const answer: AxiosResponse<unknown> = await axios.request({
        method: method ?? 'POST', url: `${sim.simulator.url}/${network}/api${filled(path)}`, ...(method === 'GET' ? {} : { data: filled(JSON.stringify(body)) }),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers }, validateStatus: () => true,
      });
      assert.match(JSON.stringify(answer.data), says);
      assert.ok(answer.status >= 400 || network === 'reddit' || network === 'slack', `HTTP ${answer.status}`);
      assert.deepEqual((await sim.posts()).filter((post) => post.network === network), []);
    });
  }
});
