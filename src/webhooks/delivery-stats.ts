/** How deliveries went: success rate and latency by endpoint and by event, from the newest deliveries of a time. */
import type { Collection, Db, Document } from 'mongodb';
import type { DeliveryDoc } from './delivery-doc.js';

export interface Numbers {
  /** Made in that time. */
  deliveries: number;
  delivered: number;
  failed: number;
  /** Requests, repeats included. */
  attempts: number;
  /** Of those that have ended by delivery or failure, 0 to 1; null while none has. */
  successRate: number | null;
  /** How long requests took, in ms, within 5 %; null without any. */
  p50Ms: number | null;
  p95Ms: number | null;
}

export interface DeliveryStats {
  since: Date;
  /** True when only the newest `MOST` deliveries of that time were looked at. */
  isPartial: boolean;
  all: Numbers;
  byEndpoint: Map<string, Numbers>;
  /** By what endpoints know it as: an action or an event type. */
  byEvent: Map<string, Numbers>;
}

/** Looking at more would take longer than a page may. */
const MOST = 50_000;
/** Durations are counted in steps of a tenth on a logarithmic scale. */
const STEPS = 10;

interface Tally extends Pick<Numbers, 'deliveries' | 'delivered' | 'failed'> {
  /** Requests by step of duration. */
  durations: Map<number, number>;
}

export function createDeliveryStats(db: Db): { of(accountId: string, since: Date): Promise<DeliveryStats> } {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');
  const newest = (accountId: string, since: Date, fields: Document): Document[] => [
    { $match: { accountId, createdAt: { $gte: since } } }, { $sort: { createdAt: -1 } }, { $limit: MOST }, { $project: { _id: 0, endpointId: 1, event: 1, ...fields } },
  ];
  const kind = { endpointId: '$endpointId', event: '$event' };

  return {
    async of(accountId, since) {
      const [states, durations] = await Promise.all([
        deliveries.aggregate<{ _id: { endpointId: string; event: string; state: string }; count: number }>([...newest(accountId, since, { state: 1 }), { $group: { _id: { ...kind, state: '$state' }, count: { $sum: 1 } } }]).toArray(),
        deliveries.aggregate<{ _id: { endpointId: string; event: string; step: number }; count: number }>([
          ...newest(accountId, since, { 'attempts.durationMs': 1 }), { $unwind: '$attempts' },
          { $group: { _id: { ...kind, step: { $floor: { $multiply: [{ $ln: { $add: ['$attempts.durationMs', 1] } }, STEPS] } } }, count: { $sum: 1 } } },
        ]).toArray(),
      ]);
      return fold(since, states, durations);
    },
  };
}

function fold(since: Date, states: { _id: { endpointId: string; event: string; state: string }; count: number }[], durations: { _id: { endpointId: string; event: string; step: number }; count: number }[]): DeliveryStats {
  const all = newTally();
  const [endpoints, events] = [new Map<string, Tally>(), new Map<string, Tally>()];
  const talliesOf = ({ endpointId, event }: { endpointId: string; event: string }): Tally[] => [all, tallyIn(endpoints, endpointId), tallyIn(events, event)];
  for (const { _id, count } of states) {
    for (const tally of talliesOf(_id)) {
      tally.deliveries += count;
      if (_id.state === 'delivered') tally.delivered += count;
      if (_id.state === 'failed') tally.failed += count;
    }
  }
  for (const { _id, count } of durations) {
    const step = Number(_id.step);
    for (const { durations: counted } of talliesOf(_id)) counted.set(step, (counted.get(step) ?? 0) + count);
  }
  const numbers = (tallies: Map<string, Tally>) => new Map([...tallies].map(([key, tally]) => [key, numbersOf(tally)]));
  return { since, isPartial: all.deliveries >= MOST, all: numbersOf(all), byEndpoint: numbers(endpoints), byEvent: numbers(events) };
}

function newTally(): Tally {
  return { deliveries: 0, delivered: 0, failed: 0, durations: new Map() };
}

function tallyIn(tallies: Map<string, Tally>, key: string): Tally {
  const tally = tallies.get(key) ?? newTally();
  tallies.set(key, tally);
  return tally;
}

function numbersOf({ deliveries, delivered, failed, durations }: Tally): Numbers {
  const attempts = [...durations.values()].reduce((sum, count) => sum + count, 0);
  const ended = delivered + failed;
  return { deliveries, delivered, failed, attempts, successRate: ended === 0 ? null : delivered / ended, p50Ms: percentile(durations, 0.5), p95Ms: percentile(durations, 0.95) };
}

/** The middle of the step in which this share of all is reached; null when there is nothing. */
function percentile(durations: ReadonlyMap<number, number>, share: number): number | null {
  const steps = [...durations].sort(([a], [b]) => a - b);
  const total = steps.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [step, count] of steps) {
    seen += count;
    if (seen >= total * share) return Math.round((Math.exp((step + 0.5) / STEPS) - 1) * 10) / 10;
  }
  return null;
}
