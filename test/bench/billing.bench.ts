/** How fast billing events are taken and folded, beside the bare driver inserting the same documents. */
import { MongoClient, type Document } from 'mongodb';
import Stripe from 'stripe';
import { createBillingEventStore, billingEventIndexes } from '../../src/billing/billing-event-store.js';
import { createBillingService } from '../../src/billing/billing-service.js';
import { billingIndexes, createBillingStore } from '../../src/billing/billing-store.js';
import { fold } from '../../src/billing/fold.js';
import { createFolding } from '../../src/billing/folding.js';
import { createIntake } from '../../src/billing/intake.js';
import { defaultPlans } from '../../src/billing/plan.js';
import { createStripeAdapter } from '../../src/billing/stripe/stripe-adapter.js';
import { ensureIndexes } from '../../src/db/database.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import { stripeLife } from '../billing/stripe-life.js';
import { temporaryFolder } from '../support/program.js';
import { atLeast, type Bench, type BenchResult } from './bench.js';

const EVENTS = 10_000;
const DUPLICATES = 0.2;
const AT_ONCE = 50;
const SECRET = 'whsec_bench';
const EVENTS_OF_A_LIFE = 17;

export const bench: Bench = {
  name: 'billing',
  description: `${EVENTS} billing events (a fifth of them repeated, shuffled) verified, stored and folded, beside the bare driver inserting the same documents; goal: a quarter of it`,
  run,
};

interface Arrival {
  raw: Buffer;
  header: string;
}

async function run(): Promise<BenchResult> {
  const folder = await temporaryFolder();
  const database = process.env.MONGODB_URI ? null : await startEmbeddedMongodb({ dataDir: `${folder.path}/mongodb` });
  const client = await MongoClient.connect(database?.uri ?? process.env.MONGODB_URI ?? '', { maxPoolSize: AT_ONCE });
  const db = client.db(`signpost_bench_billing_${process.pid}`);
  try {
    await ensureIndexes(db, [...billingEventIndexes, ...billingIndexes]);
    const events = createBillingEventStore(db);
    const store = createBillingStore(db);
    const log = createLogger('silent');
    const folding = createFolding({ events, store, plans: defaultPlans, clock: systemClock, planClock: systemClock, api: null, providers: new Set(['stripe']), existingAccounts: async (ids) => new Set(ids), onWritten: () => undefined, onChanged: () => undefined });
    const service = createBillingService({
      store, folding, plans: defaultPlans, api: null, providers: new Set(['stripe']), clock: systemClock, planClock: systemClock, log,
      publicUrl: () => '', emailOf: async () => null, record: async () => undefined,
    });
    const intake = createIntake({ adapters: [createStripeAdapter({ secrets: [SECRET] })], events, folding, api: null, clock: systemClock, log });
    const arrivals = makeArrivals();
    const startedAt = performance.now();
    await atOnce(arrivals, async ({ raw, header }) => {
      const { status } = await intake.receive('stripe', raw, { 'stripe-signature': header });
      if (status !== 200) throw new Error(`an event was answered with ${status}`);
    });
    const takenAt = performance.now();
    await intake.idle();
    await service.idle();
    const endedAt = performance.now();
    await check(db.collection('billing_customers'), events);

    const bodies = new Map((await db.collection('billing_bodies').find().toArray()).map((doc) => [String(doc['_id']), String(doc['raw'])]));
    const documents = await db.collection('billing_events').find().toArray();
    const bare = db.collection('bench_events');
    await ensureIndexes(db, billingEventIndexes.filter(({ collection }) => collection === 'billing_events').map(({ indexes }) => ({ collection: 'bench_events', indexes })));
    const copies = documents.map((doc) => ({ ...doc, raw: bodies.get(String(doc['_id'])), pendingAt: doc['receivedAt'] as Date })) as unknown as Document[];
    const bareAt = performance.now();
    await atOnce(copies, async (doc) => void (await bare.insertOne(doc)));
    const bareInsertsPerSecond = copies.length / ((performance.now() - bareAt) / 1000);

    const eventsPerSecond = arrivals.length / ((endedAt - startedAt) / 1000);
    const ratio = eventsPerSecond / bareInsertsPerSecond;
    return {
      figures: { events: arrivals.length, eventsPerSecond, takenPerSecond: arrivals.length / ((takenAt - startedAt) / 1000), bareInsertsPerSecond, ratio },
      goals: { shareOfBareDriver: atLeast(0.25, ratio) },
    };
  } finally {
    await db.dropDatabase();
    await client.close();
    await database?.stop();
    await folder.remove();
  }
}

function makeArrivals(): Arrival[] {
  const unique = Math.round(EVENTS * (1 - DUPLICATES));
  const start = Math.floor(Date.now() / 1000) - 90 * 86_400;
  const lives = Array.from({ length: Math.ceil(unique / EVENTS_OF_A_LIFE) }, (_, i) => stripeLife({ customer: `cus_${i}`, subscription: `sub_${i}`, accountId: `acc_bench${i}`, start, shape: i % 2 === 0 ? 'new' : 'old' }));
  const once = lives.flat().slice(0, unique).map((event) => {
    const payload = JSON.stringify(event);
    return { raw: Buffer.from(payload), header: Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET }) };
  });
  const repeated = Array.from({ length: EVENTS - unique }, (_, i) => once[(i * 7) % once.length]!);
  return shuffled([...once, ...repeated]);
}

/** The same order at each run. */
function shuffled<T>(items: T[]): T[] {
  let seed = 42;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  return items.map((item) => ({ item, key: random() })).sort((a, b) => a.key - b.key).map(({ item }) => item);
}

async function atOnce<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < items.length) await work(items[next++]!);
  }));
}

/** What was stored for each customer is what its events come to. */
async function check(customers: { find(): { toArray(): Promise<Document[]> } }, events: ReturnType<typeof createBillingEventStore>): Promise<void> {
  const stored = await customers.find().toArray();
  const all = await events.listOfCustomers(stored.map((doc) => String(doc['_id'])));
  for (const doc of stored) {
    const state = fold(all.map(({ event }) => event).filter(({ customer }) => customer === doc['_id']));
    const want = JSON.stringify([state.accountId, state.subscriptions, state.invoices]);
    const got = JSON.stringify([doc['accountId'], doc['subscriptions'], doc['invoices']]);
    if (want !== got) throw new Error(`the state of ${String(doc['_id'])} is not what its events come to`);
  }
}
