/** Ends the leases of processes that are certainly dead. */
import type { Db } from 'mongodb';

/**
 * For a database that this process alone uses: every lease that is there at the start belongs to a process that died, and what it held
 * is taken over by the first sweep instead of when the lease runs out.
 * @param collections whose documents hold `lease.until`
 */
export async function expireLeases(db: Db, collections: string[], now: Date): Promise<void> {
  for (const name of collections) await db.collection(name).updateMany({ 'lease.until': { $gt: now } }, { $set: { 'lease.until': now } });
}
