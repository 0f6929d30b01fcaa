/** The process of one contestant: does what it is sent, tells its figures, and ends; so each has its own CPU time and its own peak of memory. */
import { MongoClient, type Db } from 'mongodb';
import { engineHerd } from './herd-engine.js';
import type { HerdFigures } from './herd-measure.js';
import { agendaHerd, bullmqHerd, type HerdOrder } from './herd-references.js';

export interface ContestantOrder extends HerdOrder {
  contestant: 'engine' | 'agenda' | 'bullmq';
  /** MongoDB's address; '' for BullMQ. */
  uri: string;
  redisPort: number;
}

export type ContestantAnswer = { figures: HerdFigures } | { error: string };

const DATABASE = 'signpost_herd';

async function run(order: ContestantOrder): Promise<HerdFigures> {
  if (order.contestant === 'bullmq') return bullmqHerd(order.redisPort, order);
  const client = await MongoClient.connect(order.uri);
  const db: Db = client.db(DATABASE);
  const figures = await (order.contestant === 'engine' ? engineHerd(db, order) : agendaHerd(db, order));
  await db.dropDatabase();
  return figures;
}

process.on('message', (order: ContestantOrder) => {
  run(order).then((figures) => ({ figures }), (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }))
    // Timers of the libraries would keep the process for minutes.
    .then((answer: ContestantAnswer) => process.send?.(answer, () => process.exit(0)))
    .catch(() => process.exit(1));
});
process.on('disconnect', () => process.exit(1));
