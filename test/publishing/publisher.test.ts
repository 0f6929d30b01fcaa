import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { PlatformFailure } from '../../src/platforms/platform.js';
import { gate } from '../support/gate.js';
import { published, startEngine, type Engine, type Network, type WorkerClock } from './engine.js';

let engine: Engine;
afterEach(() => engine.close());

async function start(network: Network, policy = {}, clock: WorkerClock = {}): Promise<Engine> {
  engine = await startEngine(network, policy, clock);
  return engine;
}

describe('the publishing engine', () => {
  it('publishes a post that is due at once, once, and tells it in the outbox', async () => {
    let sent = 0;
    const { post, until, outbox } = await start({ publish: async () => { sent += 1; return published(); } });
    const { id } = await post();
    const done = await until(id, (p) => p.status === 'success' && p.lease === null);
    assert.equal(sent, 1);
    assert.equal(done.publications[0]!.url, 'https://network.example/r1');
    assert.deepEqual(done.publications[0]!.attempts.map((a) => a.outcome), ['published']);
    assert.deepEqual(await outbox(id), ['publication.published', 'post.published']);
  });

  it('starts a post at its moment and not before', async () => {
    let at = 0;
    const { post, until } = await start({ publish: async () => { at = Date.now(); return published(); } });
    const scheduledAt = new Date(Date.now() + 400);
    const { id } = await post({ scheduledAt });
    await until(id, (p) => p.status === 'success');
    assert.ok(at >= scheduledAt.getTime(), `began ${scheduledAt.getTime() - at} ms too early`);
    assert.ok(at < scheduledAt.getTime() + 1_000, `began ${at - scheduledAt.getTime()} ms late`);
  });

  it('stores the intent before the call is made', async () => {
    let stateDuringCall = '';
    const { post, until, store } = await start({
      publish: async () => {
        const stored = await store.find(id);
        stateDuringCall = `${stored!.publications[0]!.state}, ${stored!.publications[0]!.tries}`;
        return published();
      },
    });
    let id = '';
    ({ id } = await post({ scheduledAt: new Date(Date.now() + 100) }));
    await until(id, (p) => p.status === 'success');
    assert.equal(stateDuringCall, 'sending, 1');
  });

  it('tries an unreachable network again and never more often than allowed', async () => {
    let calls = 0;
    const { post, until } = await start({ publish: async () => { calls += 1; throw new PlatformFailure('unreachable', 'No answer.'); } }, { maxTries: 3 });
    const { id } = await post();
    const done = await until(id, (p) => p.status === 'error');
    assert.equal(calls, 3);
    assert.deepEqual(done.publications[0]!.attempts.map((a) => a.outcome), ['unreachable', 'unreachable', 'unreachable']);
  });

  it('takes up a post again before its first time here has quite ended', async () => {
    let aheadMs = 0;
    const calls: string[] = [];
    const [wakeUp, answer, second] = [gate(), gate(), gate()];
    const { post, until, publisher, store } = await start({
      now: () => new Date(Date.now() + aheadMs),
      publish: async ({ text }) => {
        calls.push(text);
        if (text === 'another') await answer.pass();
        else if (calls.length === 1) throw new PlatformFailure('unreachable', 'No answer.');
        else {
          await second.pass();
          await pause(300);
        }
        return published();
      },
    }, { retryDelaysMs: [10_000] }, { beforeWakeUp: () => wakeUp.pass() });
    const { id } = await post({ text: 'twice' });
    // Given back, but its wake-up is not stored yet. Its time comes while the channel is busy.
    await wakeUp.reached;
    await post({ text: 'another' });
    await answer.reached;
    aheadMs = 11_000;
    publisher.nudge();
    await until(id, (p) => p.lease !== null);
    wakeUp.open();
    await new Promise(setImmediate);
    answer.open();
    await second.reached;
    second.open();
    await publisher.stop(5_000);
    const done = await store.find(id);
    assert.equal(done!.status, 'success', 'the worker stopped without waiting for it');
    assert.deepEqual(calls, ['twice', 'another', 'twice']);
    assert.deepEqual(done!.publications[0]!.attempts.map((a) => a.outcome), ['unreachable', 'published']);
  });

  it('asks the network after an unknown outcome and sends nothing again when the post is there', async () => {
    let calls = 0;
    const { post, until } = await start({
      publish: async () => { calls += 1; throw new PlatformFailure('unknown', 'Timed out.'); },
      find: async () => published('found'),
    });
    const { id } = await post();
    const done = await until(id, (p) => p.status === 'success');
    assert.equal(calls, 1);
    assert.equal(done.publications[0]!.remoteId, 'found');
  });

  it('sends again after an unknown outcome only when two look-ups found nothing', async () => {
    const calls: string[] = [];
    const { post, until } = await start({
      publish: async () => {
        calls.push('publish');
        if (calls.filter((c) => c === 'publish').length === 1) throw new PlatformFailure('unknown', 'Reset.');
        return published();
      },
      find: async () => { calls.push('find'); return null; },
    });
    const { id } = await post();
    await until(id, (p) => p.status === 'success');
    assert.deepEqual(calls, ['publish', 'find', 'find', 'publish']);
  });

  it('rules nothing out while the network may still be working on the request', async () => {
    let finds = 0;
    const { post, until, store } = await start({
      publish: async () => { throw new PlatformFailure('unknown', 'Reset. Look at the profile.'); },
      find: async ({ idempotencyKey }) => {
        finds += 1;
        // As long as the network is asked, nobody else has to do anything.
        assert.match((await store.find(idempotencyKey.split('.')[0]!))!.publications[0]!.failure?.message ?? '', /Signpost looks there for the post/);
        return finds < 4 ? null : published('late');
      },
    }, { settleMs: 60_000 });
    const { id } = await post();
    const done = await until(id, (p) => p.status === 'success');
    assert.equal(done.publications[0]!.tries, 1);
    assert.equal((await store.find(id))!.publications[0]!.remoteId, 'late');
  });

  it('leaves it to a person where the network can\'t be asked', async () => {
    let calls = 0;
    const { post, until, outbox } = await start({ publish: async () => { calls += 1; throw new Error('socket hang up'); } });
    const { id } = await post();
    const done = await until(id, (p) => p.publications[0]!.state === 'unconfirmed');
    assert.equal(done.status, 'error');
    assert.equal(calls, 1);
    assert.deepEqual(await outbox(id), ['publication.unconfirmed', 'post.failed']);
  });

  it('touches only the publication that needs it again', async () => {
    const sent: string[] = [];
    const { post, until } = await start({
      publish: async (content) => {
        sent.push(content.idempotencyKey);
        if (sent.length === 2) throw new PlatformFailure('rate-limited', 'Slow down.');
        return published(content.idempotencyKey);
      },
    });
    const { id } = await post({}, [{}, {}]);
    await until(id, (p) => p.status === 'success');
    assert.equal(sent.length, 3);
    assert.equal(new Set(sent).size, 2);
    assert.equal(sent[2], sent[1]);
  });

  it('holds the post of a signed-out channel and tells the channel', async () => {
    const { post, until, signedOut } = await start({ publish: async () => { throw new PlatformFailure('signed-out', 'Reconnect.'); } });
    const { id } = await post();
    const held = await until(id, (p) => p.publications[0]!.state === 'held');
    assert.equal(held.status, 'publishing');
    assert.deepEqual(signedOut, ['chn_0']);
  });

  it('polls what the network still processes until it is public', async () => {
    let polls = 0;
    const { post, until, outbox } = await start({
      publish: async () => ({ state: 'processing', handle: 'h1', pollAfterMs: 20 }),
      poll: async () => {
        polls += 1;
        return polls < 3 ? { state: 'processing', handle: 'h1', pollAfterMs: 20 } : published();
      },
    });
    const { id } = await post();
    const done = await until(id, (p) => p.status === 'success');
    assert.equal(polls, 3);
    assert.deepEqual(done.publications[0]!.attempts.map((a) => a.kind), ['publish', 'poll', 'poll']);
    assert.deepEqual(await outbox(id), ['post.accepted', 'publication.published', 'post.published']);
  });

  it('does not send what is a day late', async () => {
    let calls = 0;
    const { post, until, outbox } = await start({ publish: async () => { calls += 1; return published(); } });
    const old = new Date(Date.now() - 25 * 3_600_000);
    const { id } = await post({ scheduledAt: old, createdAt: old });
    await until(id, (p) => p.publications[0]!.state === 'missed');
    assert.equal(calls, 0);
    assert.deepEqual(await outbox(id), ['post.missed']);
  });
});

describe('two workers', () => {
  it('never send one post twice', async () => {
    const sent: string[] = [];
    const network: Network = { publish: async (content) => { sent.push(content.idempotencyKey); return published(); } };
    const { post, untilAll, anotherWorker } = await start(network);
    const other = anotherWorker(network);
    const scheduledAt = new Date(Date.now() + 300);
    const ids = await Promise.all(Array.from({ length: 60 }, async () => (await post({ scheduledAt })).id));
    other.nudge();
    await untilAll(ids, (p) => p.status === 'success');
    assert.equal(sent.length, 60);
    assert.equal(new Set(sent).size, 60);
  });

  it('after a crash between claim and intent the other one sends it once', async () => {
    let sent = 0;
    const { post, until, store, expireLeases, publisher } = await start({ publish: async () => { sent += 1; return published(); } });
    const { id } = await post({ scheduledAt: new Date(Date.now() + 60_000) });
    const [claimed] = await store.claimDue(new Date(Date.now() + 120_000), { token: 'dead', owner: 'dead', until: new Date(Date.now() + 60_000) }, 10);
    assert.equal(claimed!.id, id);
    await publisher.sweep();
    assert.equal(sent, 0);
    await expireLeases();
    await publisher.sweep();
    const taken = await until(id, (p) => p.lease !== null && p.lease.token !== 'dead');
    assert.equal(taken.publications[0]!.state, 'pending');
  });

  it('after a crash between intent and outcome nothing is sent before the network was asked', async () => {
    const calls: string[] = [];
    const { post, until, expireLeases, publisher } = await start({
      publish: () => {
        calls.push('publish');
        return new Promise(() => undefined);
      },
      find: async () => { calls.push('find'); return published(); },
    });
    const { id } = await post();
    await until(id, (p) => p.publications[0]!.state === 'sending');
    await expireLeases();
    await publisher.sweep();
    const done = await until(id, (p) => p.status === 'success');
    assert.deepEqual(calls, ['publish', 'find']);
    assert.equal(done.publications[0]!.remoteId, 'r1');
  });

  it('a worker that lost its lease can\'t write an outcome', async () => {
    let answer: (value: ReturnType<typeof published>) => void = () => undefined;
    const { post, until, expireLeases, anotherWorker } = await start({ publish: () => new Promise((resolve) => { answer = resolve; }), find: async () => published('looked-up') });
    const { id } = await post();
    await until(id, (p) => p.publications[0]!.state === 'sending');
    await expireLeases();
    await anotherWorker({ publish: async () => published('second'), find: async () => published('looked-up') }).sweep();
    const done = await until(id, (p) => p.status === 'success' && p.lease === null);
    answer(published('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done.publications[0]!.remoteId, 'looked-up');
    assert.equal((await until(id, (p) => p.lease === null)).publications[0]!.remoteId, 'looked-up');
  });
});

describe('a channel\'s order and limits', () => {
  it('sends one channel\'s posts one at a time, in the order of their times, with two workers at it', async () => {
    const order: string[] = [];
    let underWay = 0;
    let most = 0;
    const network: Network = {
      publish: async (content) => {
        most = Math.max(most, (underWay += 1));
        order.push(content.text);
        await new Promise((resolve) => setTimeout(resolve, 3));
        underWay -= 1;
        return published();
      },
    };
    const { post, untilAll, anotherWorker } = await start(network);
    const other = anotherWorker(network);
    const from = Date.now() + 200;
    const ids = await Promise.all(Array.from({ length: 40 }, async (_, i) => (await post({ text: String(i).padStart(2, '0'), scheduledAt: new Date(from + i) })).id));
    const nudging = setInterval(() => other.nudge(), 50);
    await untilAll(ids, (p) => p.status === 'success').finally(() => clearInterval(nudging));
    assert.equal(most, 1);
    assert.deepEqual(order, [...order].sort());
  });

  it('a profile that is another worker\'s is left to it, and nobody else waits for it', async () => {
    const by: string[] = [];
    const network = (name: string): Network => ({ publish: async (content) => { by.push(`${name} ${content.text}`); return published(); } });
    const { post, until, anotherWorker, takeTurn } = await start(network('first'));
    await takeTurn('prf_theirs', 60_000);
    const theirs = await post({ profileId: 'prf_theirs', text: 'theirs' });
    const ours = await post({ profileId: 'prf_ours', text: 'ours' });
    await until(ours.id, (p) => p.status === 'success');
    const waiting = await until(theirs.id, () => true);
    assert.deepEqual([waiting.version, waiting.lease, waiting.publications[0]!.state], [1, null, 'pending']);
    assert.deepEqual(by, ['first ours']);
    await takeTurn('prf_theirs', -1);
    anotherWorker(network('second')).nudge();
    await until(theirs.id, (p) => p.status === 'success');
    assert.equal(by.length, 2);
  });

  it('waits before the call when the network takes no more for now, counts no try and tells nothing twice', async () => {
    const at: number[] = [];
    const { post, until, outbox } = await start({ limits: [{ max: 3, windowMs: 600 }], publish: async () => { at.push(Date.now()); return published(); } });
    const ids = await Promise.all(Array.from({ length: 7 }, async () => (await post()).id));
    const other = await post({}, [{ channelId: 'chn_other' }]);
    const done = await until(other.id, (p) => p.status === 'success');
    const put = await Promise.all(ids.map((id) => until(id, (p) => p.status === 'success' || p.publications[0]!.failure !== null)));
    const waiting = put.filter((p) => p.status === 'scheduled');
    assert.equal(waiting.length, 4);
    assert.match(waiting[0]!.publications[0]!.failure!.message, /Test network takes 3 posts in 600 ms from one account/);
    assert.equal(waiting[0]!.publications[0]!.tries, 0);
    assert.equal(done.publications[0]!.tries, 1);
    const sent = await Promise.all(ids.map((id) => until(id, (p) => p.status === 'success')));
    assert.ok(sent.every((p) => p.publications[0]!.tries === 1));
    assert.deepEqual(await outbox(ids[6]!), ['publication.published', 'post.published']);
    const times = at.sort((a, b) => a - b);
    for (let i = 0; i + 3 < times.length - 1; i++) assert.ok(times[i + 4]! - times[i]! >= 590, times.map((t) => t - times[0]!).join());
  });

  it('goes on counting where a worker that stopped left off', async () => {
    let sent = 0;
    const network: Network = { limits: [{ max: 2, windowMs: 60_000 }], publish: async () => { sent += 1; return published(); } };
    const { post, until, publisher, anotherWorker } = await start(network);
    for (const { id } of [await post(), await post()]) await until(id, (p) => p.status === 'success');
    await publisher.stop(1_000);
    const other = anotherWorker(network);
    const { id } = await post();
    other.nudge();
    const third = await until(id, (p) => p.publications[0]!.failure !== null);
    assert.equal(sent, 2);
    assert.ok(third.publications[0]!.dueAt!.getTime() > Date.now() + 50_000);
  });
});

describe('posts that are late', () => {
  const hourAgo = (): Date => new Date(Date.now() - 3_600_000);

  it('go out one by one on each channel, oldest first', async () => {
    const sent: { text: string; at: number }[] = [];
    const { post, untilAll } = await start({ publish: async (content) => { sent.push({ text: content.text, at: Date.now() }); return published(); } }, { lateGapMs: 500 });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push((await post({ text: `${i}`, scheduledAt: new Date(hourAgo().getTime() + i * 60_000) })).id);
    const done = await untilAll(ids, (p) => p.status === 'success');
    assert.deepEqual(sent.map(({ text }) => text), ['0', '1', '2', '3']);
    const given = done.slice(1).map((p) => Date.parse(/Next try at (\S+)\.$/.exec(p.history.find(({ what }) => what === 'publication waiting')!.detail!)![1]!));
    assert.deepEqual(given.map((at) => at - given[0]!), [0, 500, 1_000]);
    assert.ok(sent.slice(1).every(({ at }, i) => at >= given[i]!), JSON.stringify({ sent, given }));
  });

  for (const whenLate of ['skip', 'ask'] as const) {
    it(`are missed where the owner said "${whenLate}", and told`, async () => {
      let sent = 0;
      const { post, until, outbox } = await start({ publish: async () => { sent += 1; return published(); } });
      const { id } = await post({ whenLate, scheduledAt: hourAgo() });
      const missed = await until(id, (p) => p.publications[0]!.state === 'missed');
      assert.match(missed.publications[0]!.failure!.message, whenLate === 'ask' ? /Send it now/ : /not to be sent late/);
      assert.equal(sent, 0);
      assert.deepEqual(await outbox(id), ['post.missed']);
    });
  }

  it('are sent at their time all the same where the owner said so', async () => {
    const { post, until } = await start({ publish: async () => published() });
    await until((await post({ whenLate: 'skip' })).id, (p) => p.status === 'success');
  });
});
