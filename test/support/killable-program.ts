/**
 * The program, made to die (`kill -9` of itself) or to lose its database at one write: the one that the file `kill-at` in its data directory
 * describes. The file is gone when it has happened.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Collection } from 'mongodb';

export interface KillPoint {
  collection: string;
  method: 'bulkWrite' | 'insertMany';
  /** What the write must hold, as JSON. */
  holding: string[];
  /** `during`: sent, and not answered yet. */
  when: 'before' | 'during' | 'after';
  victim: 'program' | 'database';
}

const dataDir = process.env['DATA_DIR'] ?? '';
const file = path.join(dataDir, 'kill-at');

function pointFor(collection: string, method: string, written: unknown): KillPoint | null {
  let point: KillPoint;
  try {
    point = JSON.parse(readFileSync(file, 'utf8')) as KillPoint;
  } catch {
    return null;
  }
  if (point.collection !== collection || point.method !== method) return null;
  const text = JSON.stringify(written);
  return point.holding.every((part) => text.includes(part)) ? point : null;
}

function kill({ victim }: KillPoint): void {
  rmSync(file);
  const { pid } = victim === 'program' ? process : (JSON.parse(readFileSync(path.join(dataDir, 'mongodb', 'embedded.lock'), 'utf8')) as { pid: number });
  process.kill(pid, 'SIGKILL');
}

type Write = (this: Collection, written: unknown, options: unknown) => Promise<unknown>;
const methods = Collection.prototype as unknown as Record<KillPoint['method'], Write>;

for (const method of ['bulkWrite', 'insertMany'] as const) {
  const original = methods[method];
  methods[method] = async function write(written, options) {
    const point = pointFor(this.collectionName, method, written);
    if (point === null) return original.call(this, written, options);
    if (point.when === 'before') kill(point);
    const answer = original.call(this, written, options);
    if (point.when === 'during') setImmediate(() => kill(point));
    const result = await answer;
    if (point.when === 'after') kill(point);
    return result;
  };
}

await import('./fast-program.js');
