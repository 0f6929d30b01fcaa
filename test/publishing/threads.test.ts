/** Threads and first comments: one item after the other, each once, and the root stays published whatever becomes of the rest. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { newId } from '../../src/lib/ids.js';
import { PlatformFailure, type FailureKind } from '../../src/platforms/platform.js';
import { followUpsOf } from '../../src/posts/post-parts.js';
import type { Part, Post, Publication } from '../../src/posts/post.js';
import { createPublishingService, type PublishingService } from '../../src/publishing/publishing-service.js';
import { published, startEngine, type Engine, type Network } from './engine.js';

let engine: Engine;
afterEach(() => engine.close());

const part = (text: string): Part => ({ text, media: [] });

function publicationWith(items: string[], comment: string | null = null, over: Partial<Publication> = {}): Partial<Publication> {
  const id = newId('pub');
  return { id, followUps: followUpsOf(id, { root: null, split: [], written: items.map(part), comment: comment === null ? null : part(comment) }), ...over };
}

/** A network that remembers what is public, and does to a text what it was told. */
function rememberingNetwork(trouble: Record<string, FailureKind[]> = {}) {
  const shown: { text: string; under: string | null; key: string }[] = [];
  const wasMade = async (text: string, under: string | null, key: string) => {
    const kind = trouble[text]?.shift();
    if (kind === 'unknown' || kind === undefined) shown.push({ text, under, key });
    if (kind !== undefined) throw new PlatformFailure(kind, `The network said ${kind}.`);
    return published(text);
  };
  const network: Network = {
    publish: ({ text, idempotencyKey }) => wasMade(text, null, idempotencyKey),
    reply: ({ text, idempotencyKey }, { parentId }) => wasMade(text, parentId, idempotencyKey),
    comment: ({ text, idempotencyKey }, remoteId) => wasMade(text, `comment on ${remoteId}`, idempotencyKey),
    find: async ({ text }) => (shown.some((item) => item.text === text) ? published(text) : null),
  };
  return { network, shown, texts: () => shown.map(({ text }) => text) };
}

const isDone = (post: Post): boolean => post.lease === null && ['success', 'partial', 'error'].includes(post.status);

function serviceOver({ store, publisher }: Engine): PublishingService {
  return createPublishingService({ posts: store, now: () => new Date(), posted: (posts) => publisher.posted(posts), onSaved: () => undefined });
}

const actor = { accountId: 'acc_1', profileId: 'prf_1', userId: 'usr_1', isAdministrator: false, timeZone: 'UTC', via: 'api' as const };

describe('a thread with a first comment', () => {
  it('goes out item by item, each under the one before, the comment last and under the root', async () => {
    const { network, shown } = rememberingNetwork();
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'], 'first!')]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(shown.map(({ text, under }) => [text, under]), [['1', null], ['2', '1'], ['3', '2'], ['first!', 'comment on 1']]);
    assert.equal(new Set(shown.map(({ key }) => key)).size, 4);
    assert.equal(done.status, 'success');
    assert.deepEqual(done.publications[0]!.followUps!.map((step) => [step.state, step.remoteId, step.tries]), [['published', '2', 1], ['published', '3', 1], ['published', 'first!', 1]]);
    assert.deepEqual(await engine.outbox(id), ['publication.published', 'post.published']);
    assert.deepEqual(done.history.map(({ what }) => what), [
      'publication sending', 'publication published', 'thread item 2 sending', 'thread item 2 published', 'thread item 3 sending', 'thread item 3 published', 'first comment sending', 'first comment published',
    ]);
  });

  it('stores the intent of each item before its call', async () => {
    const states: string[] = [];
    const { network } = rememberingNetwork();
    const asked = { ...network, reply: async (content: { text: string; idempotencyKey: string }) => {
      const stored = await engine.store.find(content.idempotencyKey.split('.')[0]!);
      states.push(stored!.publications[0]!.followUps!.map(({ state }) => state).join());
      return published(content.text);
    } };
    engine = await startEngine(asked);
    const { id } = await engine.post({}, [publicationWith(['2', '3'])]);
    await engine.until(id, isDone);
    assert.deepEqual(states, ['sending,pending', 'published,sending']);
  });

  it('leaves the root published when an item is refused, sends nothing after that item but the comment, and tells what is missing', async () => {
    const { network, texts } = rememberingNetwork({ 3: ['rejected'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3', '4', '5'], 'first!')]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', 'first!']);
    assert.equal(done.status, 'partial');
    assert.equal(done.publications[0]!.state, 'published');
    assert.equal(done.publications[0]!.failure, null);
    assert.deepEqual(done.publications[0]!.followUps!.map(({ state }) => state), ['published', 'failed', 'pending', 'pending', 'published']);
    assert.equal(done.dueAt, null);
    assert.deepEqual(await engine.outbox(id), ['publication.published', 'publication.incomplete', 'post.partially_published']);
  });

  it('sends the rest when a person asks for it, and only the rest', async () => {
    const { network, texts } = rememberingNetwork({ 3: ['rejected'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3', '4'])]);
    await engine.until(id, isDone);
    await serviceOver(engine).retry(actor, id, null);
    const done = await engine.until(id, (post) => isDone(post) && post.status === 'success');
    assert.deepEqual(texts(), ['1', '2', '3', '4']);
    assert.ok(done.history.some(({ what }) => what === 'thread item 3 sent again by hand'));
    await assert.rejects(serviceOver(engine).retry(actor, id, null), /Nothing of this post can be sent again/);
  });

  it('tries an item again that did not get through, and never the ones before it', async () => {
    const { network, texts } = rememberingNetwork({ 2: ['unreachable', 'rate-limited'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'])]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', '3']);
    assert.deepEqual(done.publications[0]!.followUps!.map(({ tries }) => tries), [3, 1]);
  });

  it('asks the network after an unknown outcome of an item before anything is sent again', async () => {
    const { network, texts } = rememberingNetwork({ 2: ['unknown'], 'first!': ['unknown'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'], 'first!')]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', '3', 'first!']);
    assert.deepEqual(done.publications[0]!.followUps!.map(({ attempts }) => attempts.map(({ kind }) => kind)), [['publish', 'lookup'], ['publish'], ['publish', 'lookup']]);
  });

  it('leaves an item in doubt to a person where the network can\'t be asked, and goes on when it was found', async () => {
    const { network, shown, texts } = rememberingNetwork({ 2: ['unknown'] });
    const { find: _find, ...silent } = network;
    engine = await startEngine(silent);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'])]);
    const doubtful = await engine.until(id, isDone);
    const [second] = doubtful.publications[0]!.followUps!;
    assert.deepEqual([doubtful.status, doubtful.publications[0]!.state, second!.state], ['partial', 'published', 'unconfirmed']);
    await assert.rejects(serviceOver(engine).retry(actor, id, null), /Nothing of this post/);
    await serviceOver(engine).confirm(actor, id, second!.id, { published: true, url: null });
    await engine.until(id, (post) => isDone(post) && post.status === 'success');
    assert.deepEqual(texts(), ['1', '2', '3']);
    assert.equal(shown[2]!.under, '1', 'under the last item whose id is known');
  });

  it('does not take an earlier item with the same text for the one in doubt', async () => {
    const { network, texts } = rememberingNetwork({ again: [] });
    let calls = 0;
    engine = await startEngine({ ...network, reply: async (content, after) => {
      calls += 1;
      // Sent, and the answer lost, without ever becoming public.
      if (calls === 2) throw new PlatformFailure('unknown', 'Reset.');
      return network.reply!(content, after);
    } }, { maxLookUps: 3 });
    const { id } = await engine.post({ text: '1' }, [publicationWith(['again', 'again'])]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(done.publications[0]!.followUps!.map(({ state }) => state), ['published', 'unconfirmed']);
    assert.deepEqual(texts(), ['1', 'again']);
  });

  it('goes on in the middle when its token was renewed', async () => {
    const { network, texts } = rememberingNetwork({ 3: ['signed-out'] });
    engine = await startEngine(network);
    engine.renewal.outcome = 'renewed';
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3', '4'])]);
    await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', '3', '4']);
    assert.deepEqual(engine.signedOut, ['chn_0']);
  });

  it('waits in the middle when its channel is signed out, and goes on when that is connected again', async () => {
    const { network, texts } = rememberingNetwork({ 2: ['signed-out'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'])]);
    const held = await engine.until(id, (post) => post.lease === null && post.publications[0]!.followUps![0]!.state === 'held');
    assert.deepEqual([held.status, held.publications[0]!.state], ['publishing', 'published']);
    await serviceOver(engine).releaseChannel('chn_0');
    await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', '3']);
  });

  it('counts a thread\'s items among what the network takes', async () => {
    const { network, texts } = rememberingNetwork();
    engine = await startEngine({ ...network, limits: [{ max: 2, windowMs: 60_000 }] });
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3'])]);
    const waiting = await engine.until(id, (post) => post.lease === null && post.publications[0]!.followUps![1]!.failure !== null);
    assert.deepEqual(texts(), ['1', '2']);
    assert.equal(waiting.publications[0]!.followUps![1]!.tries, 0);
    assert.ok(waiting.dueAt!.getTime() > Date.now() + 50_000);
  });

  it('keeps its channel\'s turn until its last item', async () => {
    const { network, texts } = rememberingNetwork();
    engine = await startEngine({ ...network, reply: async (content, after) => { await new Promise((resolve) => setTimeout(resolve, 5)); return network.reply!(content, after); } });
    const scheduledAt = new Date(Date.now() + 200);
    const { id } = await engine.post({ text: '1', scheduledAt }, [publicationWith(['2', '3'])]);
    const other = await engine.post({ text: 'other', scheduledAt: new Date(scheduledAt.getTime() + 1) });
    await Promise.all([id, other.id].map((one) => engine.until(one, isDone)));
    assert.deepEqual(texts(), ['1', '2', '3', 'other']);
  });

  it('says so when the network has no threads', async () => {
    const { network } = rememberingNetwork();
    const { reply: _reply, comment: _comment, ...plain } = network;
    engine = await startEngine(plain);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2'], 'first!')]);
    const done = await engine.until(id, isDone);
    assert.deepEqual(done.publications[0]!.followUps!.map(({ failure }) => failure!.message), [
      'Test network has no threads. Send Test network the rest as posts of their own.', 'Test network takes no comments from other programs. Write it there by hand.',
    ]);
  });

  it('is not begun when the post itself was refused', async () => {
    const { network, texts } = rememberingNetwork({ 1: ['rejected'] });
    engine = await startEngine(network);
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2'], 'first!')]);
    const done = await engine.until(id, isDone);
    assert.equal(done.status, 'error');
    assert.deepEqual(texts(), []);
    await serviceOver(engine).retry(actor, id, null);
    await engine.until(id, (post) => isDone(post) && post.status === 'success');
    assert.deepEqual(texts(), ['1', '2', 'first!']);
  });

  it('a crash in the middle of an item is looked into, and the rest goes out once', async () => {
    const { network, texts } = rememberingNetwork();
    let hang = true;
    engine = await startEngine({ ...network, reply: async (content, after) => {
      const answer = await network.reply!(content, after);
      // Accepted, then the process dies.
      if (hang && content.text === '3') return new Promise(() => undefined);
      return answer;
    } });
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2', '3', '4'])]);
    await engine.until(id, (post) => post.publications[0]!.followUps![1]!.state === 'sending' && texts().includes('3'));
    hang = false;
    const other = engine.anotherWorker(network);
    await engine.expireLeases();
    await other.sweep();
    await engine.until(id, isDone);
    assert.deepEqual(texts(), ['1', '2', '3', '4']);
  });

  it('follows a root that its network first processes', async () => {
    const { network, texts } = rememberingNetwork();
    engine = await startEngine({ ...network, publish: async () => ({ state: 'processing', handle: 'h', pollAfterMs: 10 }), poll: async () => published('root') });
    const { id } = await engine.post({ text: '1' }, [publicationWith(['2'], 'first!')]);
    await engine.until(id, isDone);
    assert.deepEqual(texts(), ['2', 'first!']);
  });
});
