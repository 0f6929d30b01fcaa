/** Adds endpoints within what an account may have: the general limit, and its plan's, which holds however many are added at once. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import { freeSlot } from '../lib/slots.js';
import type { Endpoint } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';

export interface EndpointPlacesDeps {
  endpoints: Pick<EndpointStore, 'insert' | 'slotsOf'>;
  /** How many endpoints the account's plan allows; null or absent: only the general limit holds. */
  limitOf?(accountId: string): Promise<number | null>;
}

export interface EndpointPlaces {
  /** @returns false when the profile has an endpoint for its `apiAction` already. @throws AppError `conflict` when there is no room for it */
  insert(endpoint: Endpoint): Promise<boolean>;
}

const MAX_ENDPOINTS_PER_ACCOUNT = 50;

export function createEndpointPlaces(deps: EndpointPlacesDeps): EndpointPlaces {
  /** @throws AppError `conflict` when there is no room for one more */
  async function placeFor(accountId: string): Promise<number | null> {
    const taken = await deps.endpoints.slotsOf(accountId);
    if (taken.length >= MAX_ENDPOINTS_PER_ACCOUNT) throw new AppError('conflict', ErrorCode.conflict, `An account has at most ${MAX_ENDPOINTS_PER_ACCOUNT} endpoints. Remove one first.`);
    const limit = (await deps.limitOf?.(accountId)) ?? null;
    if (limit === null) return null;
    const slot = freeSlot(taken, limit);
    if (slot !== null) return slot;
    const details = { limit: { what: 'endpoints', limit, used: taken.length } };
    throw new AppError('conflict', ErrorCode.planLimit, `Your plan allows ${limit} webhook endpoint${limit === 1 ? '' : 's'}, and you have ${taken.length}. Remove one, or change your plan on the page "Plan and billing".`, { details });
  }

  return {
    async insert(endpoint) {
      for (let i = 0; i < MAX_ENDPOINTS_PER_ACCOUNT; i++) {
        const outcome = await deps.endpoints.insert(endpoint, await placeFor(endpoint.accountId));
        if (outcome !== 'slot-taken') return outcome === 'inserted';
      }
      throw new AppError('conflict', ErrorCode.conflict, 'Endpoints are being made by many at once right now. Try again in a moment.');
    },
  };
}
