/**
 * The program, made to die (`kill -9` of itself) or to lose its database at one write: the one that the file `kill-at` in its data directory
 * describes. The file is gone when it has happened.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Collection, Db, type Document } from 'mongodb';

export interface KillPoint {
  collection: string;
  /** `update`: the command by which many posts are moved at once. */
  method: 'update' | 'insertMany';
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

async function killedAt(point: KillPoint | null, write: () => Promise<unknown>): Promise<unknown> {
  if (point === null) return write();
  if (point.when === 'before') kill(point);
  const answer = write();
  if (point.when === 'during') setImmediate(() => kill(point));
  const result = await answer;
  if (point.when === 'after') kill(point);
  return result;
}

type Write = (this: Collection, written: unknown, options: unknown) => Promise<unknown>;
const collections = Collection.prototype as unknown as { insertMany: Write };
const { insertMany } = collections;
collections.insertMany = function write(written, options) {
  return killedAt(pointFor(this.collectionName, 'insertMany', written), () => insertMany.call(this, written, options));
};

type Command = (this: Db, command: Document, options: unknown) => Promise<unknown>;
const databases = Db.prototype as unknown as { command: Command };
const { command: run } = databases;
databases.command = function command(written, options) {
  const { update } = written;
  return killedAt(typeof update === 'string' ? pointFor(update, 'update', written) : null, () => run.call(this, written, options));
};

await import('./fast-program.js');
