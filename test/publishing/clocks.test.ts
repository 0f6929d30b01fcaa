/** Two workers whose clocks are 4 s apart (each 2 s off) and a network with troubles: nothing twice, nothing lost. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { PlatformFailure, type FailureKind } from '../../src/platforms/platform.js';
import type { Publisher } from '../../src/publishing/publisher.js';
import { published, startEngine, type Engine, type Network } from './engine.js';

const POSTS = 180;
const PROFILES = 12;

/** The same text meets the same troubles in each run. */
function troubleOf(text: string, nth: number): FailureKind | 'lost' | null {
  const dice = createHash('sha256').update(`${text} ${nth}`).digest()[0]! % 20;
  return ([null, 'unknown', 'lost', 'unreachable', 'rate-limited', 'rejected'] as const)[dice] ?? null;
}

describe('workers with clocks apart', () => {
  let engine: Engine | null = null;
  after(() => engine?.close());

  it('send a herd with troubles once each, in turn on each channel, and lose nothing', async () => {
    const shown = new Map<string, number>();
    const calls = new Map<string, number>();
    const busy = new Set<string>();
    const by = new Map<string, number>();
    const overlaps: string[] = [];
    const workers: Publisher[] = [];
    // What one was about to do goes over to the other, and back again.
    const handOver = (name: string): void => {
      if (name === 'ahead' && by.get(name) === 60) void workers[0]!.stop(5_000);
      if (name !== 'behind' || by.get(name) !== 60) return;
      workers.push(engine!.anotherWorker(worker('ahead again'), { aheadMs: 2_000 }));
      void workers[1]!.stop(5_000);
    };
    const worker = (name: string): Network => ({
      async publish({ text }, channelId) {
        if (busy.has(channelId)) overlaps.push(channelId);
        busy.add(channelId);
        by.set(name, (by.get(name) ?? 0) + 1);
        handOver(name);
        await pause(10);
        busy.delete(channelId);
        const nth = (calls.get(text) ?? 0) + 1;
        calls.set(text, nth);
        const trouble = troubleOf(text, nth);
        if (trouble === null || trouble === 'lost') shown.set(text, (shown.get(text) ?? 0) + 1);
        if (trouble !== null) throw new PlatformFailure(trouble === 'lost' ? 'unknown' : trouble, 'Trouble.');
        return published(text);
      },
      find: async ({ text }) => (shown.has(text) ? published(text) : null),
    });
    engine = await startEngine(worker('ahead'), { retryDelaysMs: [30], lookUpDelaysMs: [20], settleMs: 100, maxTries: 50 }, { aheadMs: 2_000 });
    const { post, untilAll, publisher, anotherWorker } = engine;
    workers.push(publisher);
    const from = Date.now() + 1_000;
    const ids: string[] = [];
    for (let i = 0; i < POSTS; i++) {
      const profile = i % PROFILES;
      ids.push((await post({ text: `post ${i}`, profileId: `prf_${profile}`, scheduledAt: new Date(from + (i % 15) * 200) }, [{ channelId: `chn_${profile}` }])).id);
    }
    workers.push(anotherWorker(worker('behind'), { aheadMs: -2_000 }));
    const nudging = setInterval(() => {
      for (const one of workers) void one.sweep();
    }, 100);
    const done = await untilAll(ids, (p) => p.lease === null && ['success', 'error'].includes(p.status), 60_000).finally(() => clearInterval(nudging));

    for (const { text, publications: [publication] } of done) {
      const times = shown.get(text) ?? 0;
      assert.ok(publication!.state === 'published' || publication!.state === 'failed', `${text} is ${publication!.state}`);
      assert.equal(times, publication!.state === 'published' ? 1 : 0, `${text} is ${publication!.state} and public ${times} times`);
    }
    assert.deepEqual(overlaps, [], 'two calls at once on one channel');
    assert.ok(shown.size > POSTS / 2, 'hardly anything went out: this run says nothing');
    assert.equal(by.size, 3, `only ${[...by.keys()].join()} sent anything: this run says nothing`);
  });
});
