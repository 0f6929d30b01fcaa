/** What endpoints are told, and when: the rules that turn a post's events into payloads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bodySchema, CATALOGUE } from '../../src/webhooks/event-catalogue.js';
import { PUBLIC_EVENT_TYPES, type PostEventInput, type PublicationFacts } from '../../src/webhooks/event.js';
import { buildPayload, dependsOnEarlier, wasAnnouncedBefore } from '../../src/webhooks/payload.js';
import { postEvent, publication } from './rig.js';

const actor = { accountId: 'acc_1', profileId: 'prf_1', userId: null, isAdministrator: false, timeZone: 'UTC', via: 'page' } as const;
const url = 'https://example.com/hook';

const tiktok = (overrides: Partial<PublicationFacts> = {}) =>
  publication({ platform: 'tiktok', isVideo: true, announcesAccepted: true, publishedSubAction: 'tikTokPublished', remoteId: '7', url: 'https://tiktok.com/7', ...overrides });
const processing = { state: 'processing', remoteId: null, url: null } as const;
const failed = { state: 'failed', remoteId: null, url: null, failure: { kind: 'rejected', code: 110, message: 'Status is a duplicate.', details: 'dup' } } as const;

function told(event: PostEventInput, announcedBefore = false): Record<string, unknown> | null {
  const payload = buildPayload('ayrshare', event, { url, announcedBefore });
  return payload === null ? null : (JSON.parse(payload.body) as Record<string, unknown>);
}

describe("Ayrshare's scheduled payload", () => {
  it('tells what became of a scheduled post, and nothing of an immediate one', () => {
    const event = postEvent(actor);
    assert.equal(told(event)?.['status'], 'success');
    assert.equal(told({ ...event, data: { ...event.data, scheduled: false } }), null);
    for (const type of ['post.scheduled', 'post.updated', 'post.cancelled', 'publication.failed', 'publication.unconfirmed'] as const) assert.equal(told({ ...event, type }), null, type);
  });

  it('lists what failed beside what went out', () => {
    const payload = told(postEvent(actor, { type: 'post.partially_published', data: { publications: [publication(), publication({ platform: 'twitter', ...failed }), publication({ state: 'cancelled' })] } }));
    assert.equal(payload?.['status'], 'error');
    assert.equal(payload['code'], 400);
    assert.deepEqual(payload['errors'], [{ action: 'post', status: 'error', code: 110, message: 'Status is a duplicate.', details: 'dup', platform: 'twitter' }]);
    assert.equal((payload['postIds'] as unknown[]).length, 1);
  });

  it('gives missed and unconfirmed publications as errors with codes of their own', () => {
    const payload = told(postEvent(actor, { type: 'post.failed', data: { publications: [publication({ state: 'missed', url: null }), publication({ state: 'unconfirmed', url: null })] } }));
    assert.deepEqual((payload!['errors'] as { code: number }[]).map(({ code }) => code), [915, 914]);
    assert.notEqual(told(postEvent(actor, { type: 'post.missed', data: { publications: [publication({ state: 'missed' })] } })), null);
  });

  it('announces TikTok at acceptance as pending, and again when it is public, also for immediate posts', () => {
    const accepted = told(postEvent(actor, { type: 'post.accepted', data: { publications: [tiktok(processing)] } }));
    assert.deepEqual(accepted?.['postIds'], [{ status: 'success', id: 'pending', isVideo: true, platform: 'tiktok' }]);
    assert.equal(accepted['subAction'], undefined);
    const video = tiktok();
    for (const scheduled of [true, false]) {
      const late = told(postEvent(actor, { type: 'publication.published', data: { scheduled, publicationId: video.id, publications: [publication(), video] } }));
      assert.equal(late?.['subAction'], 'tikTokPublished');
      assert.deepEqual(late['postIds'], [{ status: 'success', id: '7', postUrl: 'https://tiktok.com/7', isVideo: true, platform: 'tiktok' }]);
      assert.deepEqual(Object.keys(late), ['action', 'subAction', 'created', 'code', 'refId', 'status', 'id', 'errors', 'postIds', 'url', 'hookId']);
    }
    const other = publication();
    assert.equal(told(postEvent(actor, { type: 'publication.published', data: { publicationId: other.id, publications: [other, video] } })), null);
  });

  it('does not announce the same success twice, but tells a later failure and a success after a retry', () => {
    const base = { data: { publications: [tiktok(processing)] } };
    const accepted = postEvent(actor, { ...base, type: 'post.accepted', sequence: 3 });
    const published = postEvent(actor, { type: 'post.published', sequence: 5, data: { publications: [tiktok()] } });
    assert.equal(wasAnnouncedBefore(published, [accepted]), true);
    assert.equal(told(published, true), null);
    const lost = postEvent(actor, { type: 'post.failed', sequence: 5, data: { publications: [tiktok(failed)] } });
    assert.equal(told(lost, true)?.['status'], 'error');
    const retried = { ...published, sequence: 9 };
    assert.equal(wasAnnouncedBefore(retried, [accepted, lost]), false);
    assert.equal(wasAnnouncedBefore(published, []), false);
  });

  it('says once that a post is a success, whatever becomes of its thread afterwards', () => {
    const step = { kind: 'reply' as const, item: 2, remoteId: null, url: null, failure: failed.failure, state: 'failed' as const };
    const broken = postEvent(actor, { type: 'post.partially_published', sequence: 4, data: { publications: [publication({ followUps: [step] })] } });
    assert.equal(told(broken)?.['status'], 'success');
    const again = { ...broken, sequence: 6 };
    const rest = postEvent(actor, { type: 'post.published', sequence: 8, data: { publications: [publication({ followUps: [{ ...step, state: 'published', failure: null }] })] } });
    for (const event of [again, rest]) {
      assert.equal(dependsOnEarlier(event) && wasAnnouncedBefore(event, [broken]), true);
      assert.equal(told(event, true), null);
    }
    // One whose other channel failed was told as an error, so that its success is news.
    const half = postEvent(actor, { type: 'post.partially_published', sequence: 4, data: { publications: [publication({ followUps: [step] }), publication({ platform: 'twitter', ...failed })] } });
    assert.equal(told(half, true)?.['status'], 'error');
    assert.equal(wasAnnouncedBefore(rest, [half]), false);
  });

  it('waits for networks that count only what is public', () => {
    const slow = publication({ platform: 'slow', ...processing });
    const accepted = postEvent(actor, { type: 'post.accepted', sequence: 1, data: { publications: [slow, tiktok(processing)] } });
    assert.equal(told(accepted), null);
    assert.equal(wasAnnouncedBefore(postEvent(actor, { sequence: 2 }), [accepted]), false);
  });
});

describe("Signpost's payload", () => {
  it('is a snapshot in compact JSON with the id, the type and a rising sequence', () => {
    const event = postEvent(actor, { type: 'post.partially_published', data: { publications: [publication(), publication({ platform: 'twitter', ...failed })] } });
    const payload = buildPayload('signpost', event, { url, announcedBefore: false });
    const body = JSON.parse(payload!.body) as { id: string; type: string; timestamp: string; data: { sequence: number; publications: { error: unknown }[] } };
    assert.equal(payload!.body, JSON.stringify(body));
    assert.equal(body.id, event.id);
    assert.equal(body.type, 'post.partially_published');
    assert.equal(body.timestamp, event.at.toISOString());
    assert.equal(body.data.sequence, event.sequence);
    assert.deepEqual(body.data.publications.map(({ error }) => error), [null, { kind: 'rejected', code: 110, message: 'Status is a duplicate.', details: 'dup' }]);
    assert.equal(buildPayload('signpost', { ...event, type: 'post.accepted' }, { url, announcedBefore: false }), null);
  });
});

describe('messages for chats', () => {
  const event = postEvent(actor, {
    type: 'post.partially_published',
    data: { text: 'Sale <!everyone> @everyone & more', publications: [publication({ url: 'https://example.com/a|b>c' }), publication({ platform: 'twitter', ...failed })] },
  });
  const body = (style: 'slack' | 'discord' | 'teams') => JSON.parse(buildPayload(style, event, { url, announcedBefore: false })!.body) as Record<string, unknown>;

  it('have the shapes that Slack, Discord and Teams take, and ping nobody', () => {
    const slack = JSON.stringify(body('slack'));
    assert.match(slack, /"type":"mrkdwn"/);
    assert.ok(slack.includes('Sale &lt;!everyone&gt; @everyone &amp; more') && slack.includes('<https://example.com/a%7Cb%3Ec|bluesky>'), slack);
    assert.deepEqual(body('discord')['allowed_mentions'], { parse: [] });
    assert.match(String(body('discord')['content']), /^\*\*Post published on some channels only\*\*\nSale/);
    assert.match(String(body('discord')['content']), /twitter: Status is a duplicate\./);
    const [attachment] = body('teams')['attachments'] as { contentType: string; content: { type: string; body: unknown[]; actions: unknown[] } }[];
    assert.equal(attachment?.contentType, 'application/vnd.microsoft.card.adaptive');
    assert.equal(attachment.content.type, 'AdaptiveCard');
    assert.equal(attachment.content.actions.length, 1);
  });

  it('stay within the limits of the chats', () => {
    const long = { ...event, data: { ...event.data, text: 'x'.repeat(100_000), publications: Array.from({ length: 40 }, () => publication({ ...failed, failure: { kind: 'rejected', code: 1, message: 'y'.repeat(500) } })) } };
    const text = (style: 'slack' | 'discord') => JSON.parse(buildPayload(style, long, { url, announcedBefore: false })!.body) as { content: string; blocks: { text: { text: string } }[] };
    assert.ok(text('discord').content.length <= 2_000);
    assert.ok(text('slack').blocks[0]!.text.text.length <= 3_000);
  });
});

describe('the catalogue of events', () => {
  it('has an example and a schema for each type that is sent, and the real payloads keep to the schema', () => {
    assert.deepEqual(CATALOGUE.map(({ type }) => type), PUBLIC_EVENT_TYPES);
    for (const { type, example, schema } of CATALOGUE) {
      bodySchema(type).parse(example);
      assert.equal((schema as { type: string }).type, 'object');
    }
    for (const type of ['post.published', 'post.failed', 'publication.failed'] as const) {
      const event = postEvent(actor, { type, data: { publicationId: 'pub_1', publications: [publication(), publication({ ...failed }), tiktok(processing)] } });
      const body: unknown = JSON.parse(buildPayload('signpost', event, { url, announcedBefore: false })!.body);
      assert.deepEqual(bodySchema(type).parse(body), body, 'nothing is sent that the schema does not name');
    }
  });
});
