/** A worker that is frozen in the middle of an attempt, or whose clock is set, must not make public what others have taken over. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { gate } from '../support/gate.js';
import { startEngine, published, type Engine, type Network } from './engine.js';

let engine: Engine;
afterEach(() => engine.close());

/** A network that takes an upload and then the post itself; what it was asked to make public is counted. */
function network(over: { beforeUpload?(): Promise<void>; beforePost?(): Promise<void>; now?(): Date }): Network & { made: string[] } {
  const made: string[] = [];
  return {
    made,
    request: async () => undefined,
    ...(over.now === undefined ? {} : { now: over.now }),
    async publish(content, _channelId, io) {
      await over.beforeUpload?.();
      await io.http.request({ url: 'http://127.0.0.1:1/upload' });
      await over.beforePost?.();
      await io.http.request({ url: 'http://127.0.0.1:1/post' });
      made.push(content.idempotencyKey);
      return published(`by ${made.length}`);
    },
    find: async () => null,
  };
}

describe('a worker that is frozen for longer than its lease', () => {
  for (const moment of ['beforeUpload', 'beforePost'] as const) {
    it(`makes nothing public when it goes on (${moment === 'beforeUpload' ? 'between intent and call' : 'in the middle of the call'})`, async () => {
      let offsetMs = 0;
      const { reached, pass, open } = gate();
      const first = network({ [moment]: pass, now: () => new Date(Date.now() + offsetMs) });
      const second = network({});
      engine = await startEngine(first);
      const { id } = await engine.post();
      await reached;
      await engine.expireLeases();
      const other = engine.anotherWorker(second);
      await other.sweep();
      await engine.until(id, (post) => post.status === 'success' && post.lease === null);
      offsetMs = 100_000;
      open();
      // Waits for what it has in hand.
      await engine.publisher.stop(10_000);
      assert.equal(first.made.length + second.made.length, 1);
      const stored = await engine.store.find(id);
      assert.equal(stored?.publications[0]?.tries, 2);
      assert.equal(stored?.status, 'success');
    });
  }
});

describe('a worker whose clock is set', () => {
  for (const hours of [2, -2]) {
    it(`${hours > 0 ? 'forward' : 'back'} in the middle of a call publishes once`, async () => {
      let offsetMs = 0;
      const { reached, pass, open } = gate();
      const only = network({ beforePost: pass, now: () => new Date(Date.now() + offsetMs) });
      engine = await startEngine(only, { latenessLimitMs: 24 * 3_600_000, lateGapMs: 0 });
      const { id } = await engine.post();
      await reached;
      offsetMs = hours * 3_600_000;
      await engine.publisher.sweep();
      open();
      await engine.until(id, (post) => post.status === 'success' && post.lease === null);
      assert.equal(only.made.length, 1);
    });
  }
});
