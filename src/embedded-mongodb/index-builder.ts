/** Builds indexes in the background of other commands, a slice per transaction; goes on after a restart. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog, Collection } from './catalog.js';
import { CommandError } from './command-error.js';
import type { Executor } from './executor.js';
import type { Index } from './index-definition.js';
import { indexRecord } from './records.js';
import { collectionBounds, recordKey, type Store } from './store.js';

export interface IndexBuilder {
  /** Fills an index that is in the catalog but not ready; resolves when it is in use. @throws CommandError 11000; the index is then gone. */
  build(collection: Collection, indexId: number): Promise<void>;
  /** Takes up what a stopped server left unfinished. */
  resume(): void;
}

const CHUNK = 50;
/** Short, because each slice ends in a commit that others wait for. */
const SLICE_MS = 4;
/** Between slices while other commands come in. */
const PAUSE_MS = 4;

export function createIndexBuilder(store: Store, catalog: Catalog, executor: Executor): IndexBuilder {
  const find = (collection: Collection, id: number): Index | undefined => collection.indexes.find((index) => index.id === id);

  const running = new Map<number, Promise<void>>();

  const build = (collection: Collection, indexId: number): Promise<void> => {
    const known = running.get(indexId) ?? fill(collection, indexId).finally(() => running.delete(indexId));
    running.set(indexId, known);
    return known;
  };

  const fill = async (collection: Collection, indexId: number): Promise<void> => {
    let next = 0;
    const step = (): boolean => {
      const index = find(collection, indexId);
      if (!index || collection.dropped) throw new CommandError(276, 'Index build failed: the index or its collection was dropped');
      const { end } = collectionBounds(collection.id);
      const records = [...store.docs.getRange({ start: recordKey(collection.id, next), end, limit: CHUNK })];
      for (const { key, value } of records) {
        const record = key.readUIntBE(4, 6);
        indexRecord(store, collection, index, record, value);
        next = record + 1;
      }
      collection.changed = true;
      if (records.length === CHUNK) return false;
      index.ready = true;
      catalog.save(collection);
      return true;
    };
    const slice = (): boolean => {
      const until = performance.now() + SLICE_MS;
      for (;;) {
        if (step()) return true;
        if (performance.now() > until) return false;
      }
    };
    try {
      for (let ran = executor.tasksRun(); !(await executor.submit(true, false, slice)); ran = executor.tasksRun()) {
        if (executor.tasksRun() > ran + 1) await sleep(PAUSE_MS);
      }
    } catch (error) {
      await executor.submit(true, true, () => {
        const index = find(collection, indexId);
        if (index && !collection.dropped) catalog.dropIndex(collection, index);
      });
      throw error;
    }
  };

  const resume = (): void => {
    for (const collection of catalog.collections.values()) {
      for (const index of collection.indexes) if (!index.ready) build(collection, index.id).catch(() => undefined);
    }
  };

  return { build, resume };
}
