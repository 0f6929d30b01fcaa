/** Random lives of posts through the real moves: networks that answer anything, crashes at any write, people who press buttons. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLogger } from '../../src/lib/logger.js';
import { newId } from '../../src/lib/ids.js';
import { PlatformFailure, type FailureKind, type Platform, type PublishResult } from '../../src/platforms/platform.js';
import { followUpsOf } from '../../src/posts/post-parts.js';
import { earliestDue, isSettled, stepsOf, type Change, type Part, type Post, type Publication } from '../../src/posts/post.js';
import { holdPost } from '../../src/publishing/held-post.js';
import { workOnPost } from '../../src/publishing/publication-work.js';
import { createPublishingService } from '../../src/publishing/publishing-service.js';
import { defaultRetryPolicy, type RetryPolicy } from '../../src/publishing/retry-policy.js';
import type { ChannelSession } from '../../src/publishing/task.js';
import { createTurns } from '../../src/publishing/turns.js';

const policy: RetryPolicy = { ...defaultRetryPolicy, maxTries: 4 };
const START = new Date('2026-03-01T12:00:00Z').getTime();
const FINAL = new Set(['post.published', 'post.partially_published', 'post.failed', 'post.missed']);

/** What a call does, and what the engine is told of it. */
const ANSWERS = ['published', 'published', 'published', 'processing', 'rejected', 'signed-out', 'rate-limited', 'unreachable', 'unknown', 'lost', 'crash', 'crash after'] as const;
const PEOPLE = ['nothing', 'nothing', 'retry', 'retry one', 'there', 'not there', 'reconnect', 'wait a day'] as const;

interface Dice {
  answers: (typeof ANSWERS)[number][];
  people: (typeof PEOPLE)[number][];
  crashes: boolean[];
  canLookUp: boolean;
  shapes: { items: number; comment: boolean }[];
}

const dice: fc.Arbitrary<Dice> = fc.record({
  answers: fc.array(fc.constantFrom(...ANSWERS), { minLength: 30, maxLength: 60 }),
  people: fc.array(fc.constantFrom(...PEOPLE), { minLength: 12, maxLength: 12 }),
  crashes: fc.array(fc.integer({ min: 0, max: 11 }).map((n) => n === 0), { minLength: 40, maxLength: 80 }),
  canLookUp: fc.boolean(),
  shapes: fc.array(fc.record({ items: fc.nat(3), comment: fc.boolean() }), { minLength: 1, maxLength: 3 }),
});

class Crash extends Error {}

describe('any life of a post', () => {
  it('keeps to its states, tells each outcome once, and makes nothing public twice where the network can be asked', async () => {
    await fc.assert(fc.asyncProperty(dice, live), { numRuns: 120 });
  });
});

async function live({ answers, people, crashes, canLookUp, shapes }: Dice): Promise<void> {
  let now = START;
  let stored = newPost(shapes);
  let writes = 0;
  let calls = 0;
  let isDown = false;
  const shown = new Map<string, number>();
  const again = new Set<string>();
  const told: string[] = [];

  /** The database, and a witness of every move. */
  function save({ before, after, events }: Change, byHand = false): boolean {
    if (isDown) throw new Crash();
    if (before.version !== stored.version) return false;
    checkMove(stored, after, byHand);
    assert.deepEqual(events.map(({ sequence }) => sequence), events.map((_, i) => before.sequence + i + 1));
    const isFinal = after.publications.every(isSettled);
    const finals = events.filter(({ type }) => FINAL.has(type)).length;
    const wasFinal = stored.publications.every(isSettled);
    assert.equal(finals, isFinal && (!wasFinal || stored.status !== after.status) ? 1 : 0, 'final events of a move');
    told.push(...events.map(({ type }) => type));
    stored = { ...after, version: before.version + 1 };
    return true;
  }
  function saveAsWorker(change: Change): boolean {
    const crashes_ = crashes[writes++ % crashes.length]!;
    const won = save(change);
    // Stored, and the process dies before it hears of it.
    if (crashes_) {
      isDown = true;
      throw new Crash();
    }
    return won;
  }

  const answer = async (key: string): Promise<PublishResult> => {
    const kind = answers[calls++ % answers.length]!;
    const isThere = kind === 'published' || kind === 'processing' || kind === 'lost' || kind === 'crash after';
    if (isThere) shown.set(key, (shown.get(key) ?? 0) + 1);
    if (kind === 'published') return { state: 'published', remoteId: key, url: null };
    if (kind === 'processing') return { state: 'processing', handle: key, pollAfterMs: 1_000 };
    if (kind === 'crash' || kind === 'crash after') {
      isDown = true;
      throw new Crash();
    }
    throw new PlatformFailure(kind === 'lost' ? 'unknown' : kind satisfies FailureKind, 'Trouble.');
  };
  const platform: Platform = {
    id: 'bluesky', name: 'Random', icon: 'bluesky', optionsKey: null, publishTimeoutMs: 60_000, urls: { api: '', auth: '', consent: '', web: '' },
    limits: { text: { max: 300, counting: 'graphemes', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    verify: () => Promise.reject(new Error('not used')),
    publish: ({ idempotencyKey }) => answer(idempotencyKey),
    thread: { reply: ({ idempotencyKey }) => answer(idempotencyKey) },
    comment: { comment: ({ idempotencyKey }) => answer(idempotencyKey) },
    processing: { poll: async (handle) => ({ state: 'published', remoteId: handle, url: null }), giveUpAfterMs: 3_600_000, announces: 'published' },
    ...(canLookUp ? { lookUp: { find: async ({ idempotencyKey }) => (shown.has(idempotencyKey) ? { state: 'published', remoteId: idempotencyKey, url: null } : null) } } : {}),
  };

  async function work(): Promise<void> {
    isDown = false;
    stored = { ...stored, lease: { token: newId('lease'), owner: 'w', until: new Date(now + 90_000) }, version: stored.version + 1 };
    const held = holdPost(stored, { isSafe: () => true }, {
      save: async (change) => saveAsWorker(change), find: async () => stored, onSaved: () => undefined, now: () => new Date(now), isOver: () => isDown, log: createLogger('silent'),
    });
    const io = { http: {} } as unknown as ChannelSession['io'];
    await workOnPost(held, {
      session: async () => ({ platform, credentials: {}, io }), markSignedOut: async () => 'signed-out', policy, turns: createTurns(50, () => 50),
      rates: { take: async () => null, began: () => undefined, takeOverdue: async () => null, flush: async () => undefined, forget: () => undefined },
      isOurs: async () => true, now: () => new Date(now), moment: () => new Date(now), random: () => 0.5, log: createLogger('silent'),
    }).then(() => held.release()).catch((error: unknown) => {
      if (!(error instanceof Crash)) throw error;
    });
    // A dead worker's lease runs out.
    if (stored.lease !== null) {
      now += 90_000;
      stored = { ...stored, lease: null, version: stored.version + 1 };
    }
  }

  const service = createPublishingService({
    posts: { find: async () => stored, save: async (change) => save(change, true), listHeld: async () => (hasHeld(stored) && stored.lease === null ? [stored] : []) },
    now: () => new Date(now), posted: async () => undefined, onSaved: () => undefined,
  });
  const actor = { accountId: 'acc_1', profileId: 'prf_1', userId: 'usr_1', isAdministrator: false, timeZone: 'UTC', via: 'page' as const };
  const ignoreConflict = (error: unknown): void => assert.match(String(error), /Nothing of this post|nothing to settle|such publication/);

  async function press(what: (typeof PEOPLE)[number]): Promise<void> {
    isDown = false;
    const doubt = stored.publications.flatMap(stepsOf).find(({ state }) => state === 'unconfirmed');
    const key = doubt === undefined ? '' : `${stored.id}.${doubt.id}`;
    if (what === 'retry') await service.retry(actor, stored.id, null).catch(ignoreConflict);
    else if (what === 'reconnect') await service.releaseChannel(stored.publications[0]!.channelId);
    else if (what === 'wait a day') now += 26 * 3_600_000;
    else if (doubt !== undefined && what === 'there') {
      shown.set(key, Math.max(1, shown.get(key) ?? 0));
      await service.confirm(actor, stored.id, doubt.id, { published: true, url: null }).catch(ignoreConflict);
    } else if (doubt !== undefined && what === 'not there') await service.confirm(actor, stored.id, doubt.id, { published: false }).catch(ignoreConflict);
    else if (doubt !== undefined && what === 'retry one') {
      // Whoever sends what is in doubt again takes it upon themselves.
      again.add(key);
      await service.retry(actor, stored.id, [doubt.id]).catch(ignoreConflict);
    }
  }

  for (const what of people) {
    for (let round = 0; round < 60 && !stored.publications.every(isSettled); round++) {
      const due = inDoubt(stored) ? new Date(now) : earliestDue(stored.publications);
      assert.ok(due !== null, `nothing would ever take it up again: ${JSON.stringify(stored.publications)}`);
      if (hasHeld(stored) && due.getTime() > now) break;
      now = Math.max(now, due.getTime());
      await work();
    }
    await press(what);
  }

  for (const [key, times] of shown) if (canLookUp && !again.has(key) && !failedThere(stored, key)) assert.equal(times, 1, `${key} is public ${times} times`);
  for (const { id, state } of stored.publications.flatMap(stepsOf)) {
    if (state === 'published') assert.ok((shown.get(`${stored.id}.${id}`) ?? 0) >= 1, `${id} is said to be public`);
  }
  const roots = told.filter((type) => type === 'publication.published').length;
  assert.equal(roots, stored.publications.filter(({ state }) => state === 'published').length, 'one publication.published for each');
}

/** Told "not there" by a person and sent again: theirs to answer for, like `retry one`. */
function failedThere(post: Post, key: string): boolean {
  return post.history.some(({ what }) => what.endsWith('marked as not published by hand')) && key.startsWith(post.id);
}

function hasHeld(post: Post): boolean {
  return post.publications.flatMap(stepsOf).some(({ state }) => state === 'held');
}

function inDoubt(post: Post): boolean {
  return post.publications.flatMap(stepsOf).some(({ state, dueAt }) => state === 'sending' && dueAt === null);
}

/** What must hold between two stored versions, whoever wrote them. */
function checkMove(before: Post, after: Post, byHand: boolean): void {
  assert.deepEqual(after.history.slice(0, before.history.length), before.history, 'history is only added to');
  const kept = after.history.slice(before.history.length);
  for (const publication of after.publications) {
    const was = before.publications.find(({ id }) => id === publication.id)!;
    const followUps = publication.followUps ?? [];
    stepsOf(publication).forEach((step, i) => {
      const old = stepsOf(was)[i]!;
      if (old.state === 'published') assert.equal(step.state, 'published', 'published is never left');
      if (old.state !== step.state && step.state !== 'sending') assert.ok(kept.some(({ publicationId }) => publicationId === publication.id), `${old.state} to ${step.state} is not in the history`);
      if (['failed', 'unconfirmed', 'missed'].includes(old.state) && old.state !== step.state) assert.ok(byHand, `${old.state} to ${step.state} by itself`);
      if (['published', 'failed', 'unconfirmed', 'missed', 'cancelled'].includes(step.state)) assert.equal(step.dueAt, null, `${step.state} and due`);
      if (['processing', 'held'].includes(step.state)) assert.notEqual(step.dueAt, null, `${step.state} and never due`);
      assert.ok(step.tries <= policy.maxTries + 1, `${step.tries} tries`);
    });
    if (publication.state !== 'published') assert.ok(followUps.every(({ tries }) => tries === 0), 'something followed a post that is not public');
    assert.ok(followUps.filter(({ state, dueAt }) => dueAt !== null || state === 'sending').length <= 1, 'two items at once');
    const replies = followUps.filter(({ kind }) => kind === 'reply');
    replies.forEach((reply, i) => assert.ok(reply.tries === 0 || replies.slice(0, i).every(({ state }) => state === 'published'), 'an item before the one before it'));
  }
}

function newPost(shapes: Dice['shapes']): Post {
  const at = new Date(START);
  const part = (text: string): Part => ({ text, media: [] });
  const publications = shapes.map(({ items, comment }, i): Publication => {
    const id = newId('pub');
    const followUps = followUpsOf(id, { root: null, split: [], written: Array.from({ length: items }, (_, n) => part(`item ${n}`)), comment: comment ? part('first') : null });
    return {
      id, channelId: `chn_${i}`, platform: 'bluesky', channelName: 'me', state: 'pending', dueAt: at, tries: 0, attempts: [], handle: null, processingSince: null,
      remoteId: null, url: null, publishedAt: null, failure: null, ...(followUps.length === 0 ? {} : { followUps }),
    };
  });
  return {
    id: 'post', accountId: 'acc_1', profileId: 'prf_1', refId: '', text: 'Hello', media: [], options: {}, notes: null, type: 'scheduled', scheduledAt: at, timeZone: 'UTC', status: 'scheduled',
    publications, dueAt: at, lease: null, version: 1, sequence: 0, history: [{ at, what: 'scheduled' }], idempotencyKey: null, requestDigest: null, createdAt: at, updatedAt: at, deletedAt: null,
  };
}
