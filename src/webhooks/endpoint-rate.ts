/** Rate limits of endpoints: a minute's deliveries are spread over its seconds, and each second's share is handed out by conditional updates, so that all processes together keep to it. */
import type { Collection, Db } from 'mongodb';
import type { EndpointDoc } from './endpoint-store.js';

export interface EndpointRates {
  /** Takes up to `wanted` of what may still be sent now. @returns how many, and when (ms of the epoch) there will be more */
  take(endpointId: string, perMinute: number, wanted: number, now: Date): Promise<{ granted: number; nextAt: number }>;
  /** Fewer were there to be sent. */
  giveBack(endpointId: string, unused: number, now: Date): Promise<void>;
}

const TRIES = 3;

/** How many may go out in this second, so that a minute's seconds add up to `perMinute`. */
export function shareOf(second: number, perMinute: number): number {
  const nth = second % 60;
  return Math.floor((perMinute * (nth + 1)) / 60) - Math.floor((perMinute * nth) / 60);
}

/** The next second in which something may go out, in ms of the epoch. */
export function nextShareAt(second: number, perMinute: number): number {
  let next = second + 1;
  while (shareOf(next, perMinute) === 0 && next < second + 60) next += 1;
  return next * 1_000;
}

export function createEndpointRates(db: Db): EndpointRates {
  const endpoints: Collection<EndpointDoc> = db.collection<EndpointDoc>('webhook_endpoints');

  return {
    async take(endpointId, perMinute, wanted, now) {
      const second = Math.floor(now.getTime() / 1_000);
      const share = shareOf(second, perMinute);
      const nextAt = nextShareAt(second, perMinute);
      for (let i = 0; i < TRIES && share > 0; i++) {
        const doc = await endpoints.findOne({ _id: endpointId }, { projection: { rate: 1 } });
        const before = doc?.rate;
        // Another process's clock may be ahead; it has begun the next second already.
        if (doc === null || (before !== undefined && before.second > second)) return { granted: 0, nextAt };
        const used = before?.second === second ? before.used : 0;
        const granted = Math.min(wanted, share - used);
        if (granted <= 0) return { granted: 0, nextAt };
        const unchanged = before === undefined ? { rate: { $exists: false } } : { 'rate.second': before.second, 'rate.used': before.used };
        const taken = await endpoints.updateOne({ _id: endpointId, ...unchanged }, { $set: { rate: { second, used: used + granted } } });
        if (taken.matchedCount === 1) return { granted, nextAt };
      }
      return { granted: 0, nextAt };
    },
    async giveBack(endpointId, unused, now) {
      if (unused > 0) await endpoints.updateOne({ _id: endpointId, 'rate.second': Math.floor(now.getTime() / 1_000), 'rate.used': { $gte: unused } }, { $inc: { 'rate.used': -unused } });
    },
  };
}
