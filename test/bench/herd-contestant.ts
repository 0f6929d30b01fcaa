/** The process of one contestant: does what it is sent, tells its figures, and ends; so each has its own CPU time and its own peak of memory. */
import { MongoClient, type Db } from 'mongodb';
import { engineHerd, fill } from './herd-engine.js';
import type { HerdFigures } from './herd-measure.js';
import { agendaPath, programPath } from './herd-path.js';
import { agendaHerd, bullmqHerd, DATABASE, type HerdOrder } from './herd-references.js';

export interface ContestantOrder extends HerdOrder {
  contestant: 'engine' | 'agenda' | 'bullmq' | 'path' | 'agendaPath' | 'fill';
  /** MongoDB's address; '' for BullMQ. */
  uri: string;
  redisPort: number;
  simulatorUrl: string;
}

export type ContestantAnswer = { figures: HerdFigures | null } | { error: string };

async function run(order: ContestantOrder): Promise<HerdFigures | null> {
  if (order.contestant === 'bullmq') return bullmqHerd(order.redisPort, order);
  const client = await MongoClient.connect(order.uri);
  const db: Db = client.db(DATABASE);
  switch (order.contestant) {
    case 'engine': return engineHerd(db, order);
    case 'agenda': return agendaHerd(db, order);
    case 'path': return programPath(db, order);
    case 'agendaPath': return agendaPath(db, order);
    case 'fill':
      await fill(db, order.posts, order.accounts);
      return null;
  }
}

process.on('message', (order: ContestantOrder) => {
  run(order).then((figures) => ({ figures }), (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }))
    // Timers of the libraries would keep the process for minutes.
    .then((answer: ContestantAnswer) => process.send?.(answer, () => process.exit(0)))
    .catch(() => process.exit(1));
});
process.on('disconnect', () => process.exit(1));
