/** What belongs to the database as a whole: which key sealed its secrets, and where the web process and the simulator are. */
import type { Db } from 'mongodb';
import { startProblem } from '../lib/start-problem.js';

interface InstanceDoc {
  _id: string;
  keyFingerprint: string;
  simulatorPort?: number;
  addresses?: Addresses;
}

/** Where the web process and its simulator are; workers need it. */
export interface Addresses {
  /** The machine they run on, as `machineId` names it. */
  machine: string;
  /** Signpost as users and receivers see it, and as its own machine reaches it. */
  publicUrl: string;
  localUrl: string;
  /** False: users may be strangers, so webhooks must not go to loopback addresses. */
  loopbackOnly: boolean;
  /** The simulator as its own machine calls it, and as browsers and other machines reach it; null when it isn't used. */
  simulator: { callUrl: string; browserUrl: string } | null;
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

export async function rememberAddresses(db: Db, addresses: Addresses): Promise<void> {
  await db.collection<InstanceDoc>('instance').updateOne({ _id: 'signpost' }, { $set: { addresses } });
}

/** Null before a web process ever ran on this database. */
export async function readAddresses(db: Db): Promise<Addresses | null> {
  const stored = await db.collection<InstanceDoc>('instance').findOne({ _id: 'signpost' });
  return stored?.addresses ?? null;
}
