import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBatcher, createSharedLookUp } from '../../src/lib/batcher.js';

describe('a batcher', () => {
  it('gathers what is asked for while a round trip is under way, and answers each item', async () => {
    const batches: number[][] = [];
    const double = createBatcher<number, number>(async (items) => {
      batches.push(items);
      await new Promise((resolve) => setImmediate(resolve));
      return items.map((n) => n * 2);
    }, { max: 3, concurrent: 1 });
    const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => double(n)));
    assert.deepEqual(answers, [2, 4, 6, 8, 10]);
    assert.deepEqual(batches, [[1, 2, 3], [4, 5]]);
  });

  it('rejects only the item that failed, and every item of a batch that failed as a whole', async () => {
    const some = createBatcher<number, string>(async (items) => items.map((n) => (n === 2 ? new Error('two') : 'fine')), { max: 9, concurrent: 1 });
    const settled = await Promise.allSettled([1, 2, 3].map((n) => some(n)));
    assert.deepEqual(settled.map((s) => s.status), ['fulfilled', 'rejected', 'fulfilled']);
    const none = createBatcher<number, string>(() => Promise.reject(new Error('gone')), { max: 9, concurrent: 1 });
    await assert.rejects(none(1), /gone/);
    await assert.rejects(none(2), /gone/);
  });
});

describe('a shared look-up', () => {
  it('never answers with what was asked before the caller came', async () => {
    let stored = 'old';
    const answers: (() => void)[] = [];
    const read = createSharedLookUp(async () => {
      const seen = stored;
      await new Promise<void>((resolve) => answers.push(resolve));
      return seen;
    });
    const begun = async (): Promise<void> => {
      while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    };
    const first = read('key');
    await begun();
    stored = 'new';
    const [second, third] = [read('key'), read('key')];
    answers.shift()!();
    assert.equal(await first, 'old');
    await begun();
    answers.shift()!();
    assert.deepEqual([await second, await third], ['new', 'new']);
    assert.equal(answers.length, 0);
  });

  it('asks again after a failure', async () => {
    let calls = 0;
    const read = createSharedLookUp(async () => {
      calls += 1;
      if (calls === 1) throw new Error('down');
      return calls;
    });
    await assert.rejects(read('key'), /down/);
    assert.equal(await read('key'), 2);
  });
});
