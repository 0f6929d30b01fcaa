/**
 * Kills the server at random moments under load, starts it again, and holds its data against what it had acknowledged.
 * By command at full size: node dist/test/embedded-mongodb/crash.js 200
 */
import { MongoClient, type Collection } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { newDataDir } from './with-server.js';

interface Ledger {
  /** Ids whose insert was acknowledged, with the number they must at least show. */
  inserted: Map<string, number>;
  /** Ids whose delete was acknowledged. */
  deleted: Set<string>;
  /** Acknowledged increments of the shared counter. */
  increments: number;
  /** All that was acknowledged. */
  writes: number;
  /** Increments that were sent but never answered. */
  uncertain: number;
}

const WRITERS = 8;

/** Writes until the connection breaks, noting every acknowledgement. */
async function load(posts: Collection<{ _id: string }>, ledger: Ledger, round: number, writer: number): Promise<void> {
  const own: string[] = [];
  for (let i = 0; ; i++) {
    const id = `${round}-${writer}-${i}`;
    try {
      if (i % 5 === 4 && own.length > 2) {
        const gone = own.splice(Math.floor(Math.random() * own.length), 1)[0]!;
        ledger.inserted.delete(gone);
        await posts.deleteOne({ _id: gone });
        ledger.deleted.add(gone);
      } else if (i % 5 === 3 && own.length > 0) {
        const one = own[Math.floor(Math.random() * own.length)]!;
        await posts.updateOne({ _id: one }, { $set: { n: i, key: `k${id}`, tags: [i, i + 1] } });
        ledger.inserted.set(one, i);
      } else if (i % 5 === 2) {
        ledger.uncertain++;
        await posts.updateOne({ _id: 'counter' }, { $inc: { n: 1 } }, { upsert: true });
        ledger.uncertain--;
        ledger.increments++;
      } else {
        await posts.insertOne({ _id: id, n: 0, key: `k${id}`, tags: [1, 2], body: 'x'.repeat(Math.floor(Math.random() * 3000)), check: id } as never);
        ledger.inserted.set(id, 0);
        own.push(id);
      }
      ledger.writes++;
    } catch {
      return;
    }
  }
}

async function audit(posts: Collection<{ _id: string }>, ledger: Ledger): Promise<string[]> {
  const faults: string[] = [];
  const found = new Map<string, Record<string, unknown>>();
  for await (const doc of posts.find()) found.set(doc._id, doc);
  for (const [id, n] of ledger.inserted) {
    const doc = found.get(id);
    if (!doc) faults.push(`lost ${id}`);
    else if (doc['check'] !== id || (doc['n'] as number) < n) faults.push(`torn ${id}: ${JSON.stringify(doc).slice(0, 100)}`);
  }
  for (const id of ledger.deleted) if (found.has(id)) faults.push(`${id} came back`);
  const counter = (found.get('counter')?.['n'] as number | undefined) ?? 0;
  if (counter < ledger.increments || counter > ledger.increments + ledger.uncertain) faults.push(`the counter says ${counter}, acknowledged were ${ledger.increments} (+${ledger.uncertain} unanswered)`);
  const report = await posts.db.command({ validate: posts.collectionName });
  if (report['valid'] !== true) faults.push(`validate: ${JSON.stringify(report['errors'])}`);
  return faults;
}

/** @returns what was found wrong over all rounds, and how many writes were acknowledged */
export async function runCrashTest(rounds: number, report: (line: string) => void = () => undefined): Promise<{ faults: string[]; acknowledged: number }> {
  const dataDir = newDataDir();
  const ledger: Ledger = { inserted: new Map(), deleted: new Set(), increments: 0, writes: 0, uncertain: 0 };
  const faults: string[] = [];
  for (let round = 0; round <= rounds; round++) {
    const server = await startEmbeddedMongodb({ dataDir });
    const client = await new MongoClient(server.uri, { retryWrites: false, serverSelectionTimeoutMS: 500, maxPoolSize: WRITERS }).connect();
    const posts = client.db('crash').collection<{ _id: string }>('posts');
    const found = round === 0 ? [] : await audit(posts, ledger);
    faults.push(...found.map((fault) => `round ${round}: ${fault}`));
    if (round === rounds) {
      await client.close();
      await server.stop();
      break;
    }
    if (round === 0) await posts.createIndex({ key: 1 }, { unique: true, partialFilterExpression: { key: { $exists: true } } });
    const indexing = posts.createIndex({ [`tags`]: 1, [`r${round % 3}`]: 1 }).catch(() => undefined);
    const loads = Array.from({ length: WRITERS }, (_, writer) => load(posts, ledger, round, writer));
    const enough = ledger.writes + 5 + Math.random() * 200;
    while (ledger.writes < enough) await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 5));
    process.kill(server.pid, 'SIGKILL');
    await Promise.all([...loads, indexing]);
    await client.close();
    report(`round ${round + 1}/${rounds}: ${ledger.writes} acknowledged, ${faults.length} faults`);
  }
  return { faults, acknowledged: ledger.writes };
}

if (process.argv[1] === import.meta.filename) {
  const { faults, acknowledged } = await runCrashTest(Number(process.argv[2] ?? 200), console.log);
  for (const fault of faults) console.error(fault);
  console.log(`${acknowledged} acknowledged writes, ${faults.length} faults`);
  process.exit(faults.length > 0 ? 1 : 0);
}
