/** Nobody waits for others without need: accounts, platforms, channels of one post; and what a stop left behind goes out calmly. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createTurns, type Turn, type Turns } from '../../src/publishing/turns.js';
import { published, startEngine, type Engine, type Network } from './engine.js';

let engine: Engine | null = null;
afterEach(async () => {
  await engine?.close();
  engine = null;
});

async function start(network: Network, policy = {}): Promise<Engine> {
  engine = await startEngine(network, policy);
  return engine;
}

describe('one account\'s many posts', () => {
  it('don\'t hold back another\'s one that is due at the same moment', async () => {
    const order: string[] = [];
    const { post, until } = await start({ publish: async ({ text }, channelId) => {
      order.push(channelId);
      await pause(2);
      return published(text);
    } });
    const scheduledAt = new Date(Date.now() + 4_000);
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, () => post({ scheduledAt, accountId: 'acc_many', profileId: 'prf_many' }, [{ channelId: 'chn_many' }])));
    const one = await post({ scheduledAt, accountId: 'acc_one', profileId: 'prf_one' }, [{ channelId: 'chn_one' }]);
    const done = await until(one.id, (p) => p.status === 'success');
    const lateMs = done.publications[0]!.publishedAt!.getTime() - Math.max(scheduledAt.getTime(), one.createdAt.getTime());
    assert.ok(order.indexOf('chn_one') < 400, `after ${order.indexOf('chn_one')} posts of the other account`);
    assert.ok(order.length < 1_000, 'the other account was done already: this run says nothing');
    assert.ok(lateMs < 5_000, `${lateMs} ms late`);
  });
});

describe('turns at the networks', () => {
  /** Begun, and calling. */
  async function call(turns: Turns, channel: string, platform: string): Promise<Turn> {
    const turn = await turns.take(channel, platform);
    assert.ok(turn !== null);
    await turn.toCall();
    return turn;
  }

  it('let so many calls to one platform be under way, and leave room to another', async () => {
    const turns = createTurns(5, (platform) => (platform === 'slow' ? 3 : 4));
    const slow = await Promise.all([1, 2, 3].map((i) => call(turns, `slow-${i}`, 'slow')));
    let fourth = false;
    const waiting = call(turns, 'slow-4', 'slow').then((turn) => { fourth = true; return turn; });
    const other = await call(turns, 'other-1', 'other');
    assert.equal(fourth, false);
    slow[0]!.end();
    slow[0]!.end();
    await waiting;
    const fifth = call(turns, 'other-2', 'other');
    const sixth = call(turns, 'other-3', 'other');
    await fifth;
    let last = false;
    void sixth.then(() => { last = true; });
    await pause(1);
    assert.equal(last, false, 'five in all');
    other.end();
    await sixth;
  });

  it('go in order on each channel, and are refused to all who wait when nothing may begin any more', async () => {
    const turns = createTurns(10, () => 10);
    const order: number[] = [];
    const first = await turns.take('c', 'p');
    const others = [1, 2, 3].map((i) => turns.take('c', 'p').then((turn) => { if (turn !== null) order.push(i); return turn; }));
    first!.end();
    const second = await others[0]!;
    turns.close();
    assert.deepEqual(await Promise.all(others.slice(1)), [null, null]);
    assert.equal(await turns.take('d', 'p'), null);
    second!.end();
    assert.deepEqual(order, [1]);
  });

  it('are free again however many were taken and given back', async () => {
    const turns = createTurns(7, () => 4);
    let underWay = 0;
    let most = 0;
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const turn = await call(turns, `c${i % 23}`, `p${i % 3}`);
      most = Math.max(most, (underWay += 1));
      await pause(i % 3);
      underWay -= 1;
      turn.end();
    }));
    assert.equal(most, 7);
    await Promise.all([1, 2, 3, 4].map((i) => call(turns, `c${i}`, 'p0')));
  });

  it('store no intents ahead of a platform that hangs, and some ahead of one that is quick', async () => {
    const begun = async (platform: string): Promise<number> => {
      let count = 0;
      for (let i = 0; i < 20; i++) void turns.take(`${platform}-later-${i}`, platform).then(() => { count += 1; });
      await pause(1);
      return count;
    };
    let ticks = 0;
    const turns = createTurns(100, () => 3, () => ticks);
    await Promise.all([1, 2, 3].map((i) => call(turns, `hanging-${i}`, 'hanging')));
    assert.equal(await begun('hanging'), 0);
    for (let i = 0; i < 10; i++) (await call(turns, 'quick-1', 'quick')).end();
    await Promise.all([1, 2, 3].map((i) => call(turns, `quick-${i}`, 'quick')));
    const ahead = await begun('quick');
    assert.equal(ahead, 10);
    ticks += 500;
    assert.equal(await begun('quick'), 0, 'that pace is long past');
  });
});

describe('a network that never answers', () => {
  const hanging = (network: Network): Network => ({ ...network, timeoutMs: 60_000, publish: (content, channelId, io) => (channelId === 'chn_0' ? new Promise(() => undefined) : network.publish(content, channelId, io)) });

  it('delays neither the post\'s other channels nor their next steps', async () => {
    let tries = 0;
    let polls = 0;
    const { post, until } = await start(hanging({
      publish: async (_content, channelId) => {
        if (channelId === 'chn_1') return { state: 'processing', handle: 'h', pollAfterMs: 20 };
        tries += 1;
        if (tries === 1) throw new Error('as if reset');
        return published(channelId);
      },
      find: async () => null,
      poll: async () => {
        polls += 1;
        return polls < 3 ? { state: 'processing', handle: 'h', pollAfterMs: 20 } : published('polled');
      },
    }));
    const { id } = await post({}, [{}, {}, {}]);
    const meanwhile = await until(id, (p) => p.publications[1]!.state === 'published' && p.publications[2]!.state === 'published');
    assert.equal(meanwhile.publications[0]!.state, 'sending');
    assert.equal(meanwhile.status, 'publishing');
    assert.equal(tries, 2);
  });

  it('delays the end of the process by no more than the grace', async () => {
    const { post, until, publisher } = await start(hanging({ publish: async () => published() }));
    const { id } = await post({}, [{}, {}]);
    await until(id, (p) => p.publications[1]!.state === 'published');
    const from = performance.now();
    await publisher.stop(100);
    assert.ok(performance.now() - from < 3_000);
  });
});

describe('late posts', () => {
  const hourAgo = (plusMs = 0): Date => new Date(Date.now() - 3_600_000 + plusMs);

  it('keep their distance when another worker takes their channel over', async () => {
    const sent: string[] = [];
    const network: Network = { publish: async ({ text }) => { sent.push(text); return published(text); } };
    const { post, until, publisher, anotherWorker } = await start(network, { lateGapMs: 60_000 });
    const isPutOff = (text: string) => until(ids.get(text)!, (p) => p.publications[0]!.failure !== null && p.lease === null);
    const ids = new Map<string, string>();
    for (const text of ['1', '2']) ids.set(text, (await post({ text, scheduledAt: hourAgo(Number(text)) })).id);
    const second = await isPutOff('2');
    await publisher.stop(1_000);
    ids.set('3', (await post({ text: '3', scheduledAt: hourAgo(3) })).id);
    anotherWorker(network).nudge();
    const third = await isPutOff('3');
    assert.deepEqual(sent, ['1']);
    assert.equal(third.dueAt!.getTime() - second.dueAt!.getTime(), 60_000);
    assert.equal(third.publications[0]!.tries, 0);
  });

  it('don\'t burst after a second stop in which the times they were given went by', async () => {
    const at: number[] = [];
    const { post, untilAll } = await start({ publish: async ({ text }) => { at.push(Date.now()); return published(text); } }, { lateGapMs: 400 });
    const from = Date.now();
    // As a stop leaves them: put off to times that have passed since.
    const failure = { kind: 'rate-limited' as const, code: 912, message: 'It is late.' };
    const posts = await Promise.all([0, 1, 2].map((i) => post({ scheduledAt: hourAgo() }, [{ dueAt: new Date(Date.now() - 30_000 + i * 400), failure }])));
    await untilAll(posts.map(({ id }) => id), (p) => p.status === 'success');
    // Each may come late, and none early.
    assert.equal(at.length, 3);
    for (const [i, time] of at.entries()) assert.ok(time - from >= i * 400, at.map((other) => other - from).join());
  });
});
