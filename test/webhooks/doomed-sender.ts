/** A process that records the events it is told and sends their webhooks, until it is killed. */
import { createSeal } from '../../src/lib/seal.js';
import { connectDatabase } from '../../src/db/database.js';
import { composeWebhooks } from '../../src/compose-webhooks.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import type { PostEventInput } from '../../src/webhooks/event.js';
import { mongodbUri } from '../support/temporary-database.js';

const { db } = await connectDatabase(mongodbUri(), process.argv[2]!);
const webhooks = composeWebhooks({
  db, seal: createSeal(Buffer.alloc(32, 7)), notifier: createNotifier(), clock: { now: () => new Date() }, log: createLogger('silent'), userAgent: 'Signpost/test', publicUrl: () => 'http://127.0.0.1:9',
  localUrl: () => 'http://127.0.0.1:9', loopbackOnly: true, refId: async () => 'ref', jobs: { handle: () => undefined, sweep: () => undefined, wakeAt: async () => undefined },
});

// Dates travel as text.
process.on('message', (events: (Omit<PostEventInput, 'at'> & { at: string })[]) => {
  void record(events.map((event) => ({ ...event, at: new Date(event.at) })));
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

async function record(events: PostEventInput[]): Promise<void> {
  for (const event of events) await webhooks.record([event]);
}
