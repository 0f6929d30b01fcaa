/** Collects the writes of many posts into few bulk writes: while one is under way, the next ones gather. */
import type { Change } from '../posts/post.js';

export interface WriteCollector {
  /** @returns false when somebody else changed the post first. */
  save(change: Change): Promise<boolean>;
}

const MAX_BATCH = 500;
/** More than one, so that the database has work while we prepare the next; few, so that batches stay large. */
const MAX_WRITING = 3;

export function createWriteCollector(saveMany: (changes: Change[]) => Promise<boolean[]>): WriteCollector {
  let waiting: { change: Change; resolve: (won: boolean) => void; reject: (error: unknown) => void }[] = [];
  let writing = 0;

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      try {
        const won = await saveMany(batch.map((entry) => entry.change));
        batch.forEach((entry, i) => entry.resolve(won[i] === true));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    writing -= 1;
  }

  return {
    save(change) {
      return new Promise((resolve, reject) => {
        waiting.push({ change, resolve, reject });
        if (writing === MAX_WRITING) return;
        writing += 1;
        setImmediate(() => void write());
      });
    },
  };
}
