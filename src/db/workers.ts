/** The workers that share a database: each is listed while it lives, and what a dead one of this machine had leased is free at once. */
import type { Db } from 'mongodb';
import { bornAt, isProcessAlive, machineId } from '../lib/processes.js';

interface WorkerDoc {
  /** Names it in leases. */
  _id: string;
  machine: string;
  pid: number;
  born: string | null;
  seenAt: Date;
}

export interface WorkerRegistry {
  /** Lists this process and says that it is still there; counts the others, and frees what dead ones of this machine had leased. Those of other machines are found out by their leases running out. */
  beat(now: Date): Promise<void>;
  /** How many workers there were at the last beat, this one included; at least 1. */
  count(): number;
  /** This process ends in order. */
  leave(): Promise<void>;
}

const FORGOTTEN_AFTER_MS = 24 * 3_600_000;
/** What a process sent just before it died may reach a busy database after its leases were ended: they are ended for this long. */
const BURIED_FOR_MS = 120_000;
/** Who was not seen for so long does nothing any more. */
const SILENT_AFTER_MS = 60_000;

/**
 * @param owner the name of this process in its leases
 * @param collections whose documents hold `lease.owner` and `lease.until`
 */
export function createWorkerRegistry(db: Db, owner: string, collections: readonly string[]): WorkerRegistry {
  const workers = db.collection<WorkerDoc>('workers');
  const machine = machineId();
  const self = { machine, pid: process.pid, born: bornAt(process.pid) };
  let counted = 1;
  return {
    async beat(now) {
      await workers.updateOne({ _id: owner }, { $set: { ...self, seenAt: now } }, { upsert: true });
      const before = (ms: number): Date => new Date(now.getTime() - ms);
      const wasSeen = (worker: WorkerDoc, withinMs: number): boolean => worker.seenAt > before(withinMs);
      // Not those of other machines that ended within the day.
      const listed = await workers.find({ $or: [{ machine }, { seenAt: { $gt: before(SILENT_AFTER_MS) } }, { seenAt: { $lte: before(FORGOTTEN_AFTER_MS) } }] }).toArray();
      counted = Math.max(1, listed.filter((worker) => wasSeen(worker, SILENT_AFTER_MS)).length);
      const dead = listed.filter((worker) => worker.machine === machine && worker._id !== owner && !isProcessAlive(worker));
      if (dead.length > 0) await expireLeases(db, collections, dead.map(({ _id }) => _id), now);
      const gone = listed.filter((worker) => !wasSeen(worker, FORGOTTEN_AFTER_MS) || (dead.includes(worker) && !wasSeen(worker, BURIED_FOR_MS)));
      if (gone.length > 0) await workers.deleteMany({ $or: gone.map(({ _id, seenAt }) => ({ _id, seenAt })) });
    },
    count: () => counted,
    async leave() {
      await workers.deleteOne({ _id: owner });
    },
  };
}

/**
 * Ends the leases of owners that are certainly dead, so that what they held is taken over by the next sweep instead of when the leases run out.
 * @param collections whose documents hold `lease.owner` and `lease.until`
 */
export async function expireLeases(db: Db, collections: readonly string[], owners: readonly string[] | RegExp, now: Date): Promise<void> {
  for (const name of collections) {
    await db.collection(name).updateMany({ 'lease.until': { $gt: now }, 'lease.owner': owners instanceof RegExp ? owners : { $in: [...owners] } }, { $set: { 'lease.until': now } });
  }
}
