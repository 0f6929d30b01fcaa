/** What belongs to the database as a whole: which key sealed its secrets, and where the simulator listened. */
import type { Db } from 'mongodb';
import { startProblem } from '../lib/start-problem.js';

interface InstanceDoc {
  _id: string;
  keyFingerprint: string;
  simulatorPort?: number;
}

/**
 * Remembers the key at the first start.
 * @throws Error when the database's secrets were sealed with another key: nothing could be opened, and new secrets would mix in
 */
export async function requireSameKey(db: Db, fingerprint: string): Promise<void> {
  const instances = db.collection<InstanceDoc>('instance');
  await instances.updateOne({ _id: 'signpost' }, { $setOnInsert: { keyFingerprint: fingerprint } }, { upsert: true });
  const stored = await instances.findOne({ _id: 'signpost' });
  if (stored?.keyFingerprint !== fingerprint) {
    throw startProblem('This database was sealed with another key. Set SECRET_KEY, or put back the secret.key file, that it was used with before.');
  }
}

/** The port that links to simulated posts name; null at the first start. */
export async function simulatorPort(db: Db): Promise<number | null> {
  const stored = await db.collection<InstanceDoc>('instance').findOne({ _id: 'signpost' });
  return stored?.simulatorPort ?? null;
}

export async function rememberSimulatorPort(db: Db, port: number): Promise<void> {
  await db.collection<InstanceDoc>('instance').updateOne({ _id: 'signpost' }, { $set: { simulatorPort: port } });
}
