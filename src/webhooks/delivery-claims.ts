/** Claims what may be sent now: in batches, but one at a time for ordered endpoints, and no more than a rate limit leaves. */
import type { Delivery, Lease } from './delivery.js';
import type { DeliveryLine } from './delivery-line.js';
import type { DeliveryStore } from './delivery-store.js';
import type { EndpointRates } from './endpoint-rate.js';
import type { Targets } from './targets.js';

export interface ClaimsDeps {
  deliveries: Pick<DeliveryStore, 'claim'>;
  line: DeliveryLine;
  rates: EndpointRates;
  targets: Pick<Targets, 'get'>;
}

export interface Wanted {
  endpointId: string;
  limit: number;
}

export interface Claimed {
  deliveries: Delivery[];
  /** Endpoints that may have more due right now. */
  more: ReadonlySet<string>;
  /** Endpoints whose rate limit held something back, and when (ms of the epoch) it gives more. */
  limited: { endpointId: string; nextAt: number }[];
}

interface Share extends Wanted {
  ordered: boolean;
  /** Null: no rate limit. */
  nextAt: number | null;
}

export function createClaims(deps: ClaimsDeps): { claim(wanted: Wanted[], now: Date, newLease: () => Lease): Promise<Claimed> } {
  async function shareOf({ endpointId, limit }: Wanted, now: Date): Promise<Share> {
    const endpoint = (await deps.targets.get(endpointId))?.endpoint;
    const ordered = endpoint?.ordered === true;
    const wanted = ordered ? Math.min(1, limit) : limit;
    if (endpoint === undefined || endpoint.maxPerMinute === null) return { endpointId, limit: wanted, ordered, nextAt: null };
    const { granted, nextAt } = await deps.rates.take(endpointId, endpoint.maxPerMinute, wanted, now);
    return { endpointId, limit: granted, ordered, nextAt };
  }

  return {
    async claim(wanted, now, newLease) {
      const shares = await Promise.all(wanted.map((one) => shareOf(one, now)));
      const open = shares.filter(({ limit }) => limit > 0);
      const [deliveries, firsts] = await Promise.all([
        deps.deliveries.claim(open.filter(({ ordered }) => !ordered), now, newLease()),
        Promise.all(open.filter(({ ordered }) => ordered).map(({ endpointId }) => deps.line.claimFirst(endpointId, now, newLease()))),
      ]);
      deliveries.push(...firsts.filter((first) => first !== null));
      const more = new Set<string>();
      for (const { endpointId, limit, ordered, nextAt } of open) {
        const got = deliveries.filter((delivery) => delivery.endpointId === endpointId).length;
        // The next of a line follows when this one has its outcome.
        if (got >= limit && !ordered) more.add(endpointId);
        if (nextAt !== null) await deps.rates.giveBack(endpointId, limit - got, now);
      }
      const limited = shares.flatMap(({ endpointId, limit, nextAt }) => (nextAt !== null && limit === 0 ? [{ endpointId, nextAt }] : []));
      return { deliveries, more, limited };
    },
  };
}
