/** Records events once and makes a delivery for each endpoint that wants them; whatever dies in between is finished by a sweep. */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import { deliveryId, SCHEDULE_S, type Delivery } from './delivery.js';
import type { DeliveryStore } from './delivery-store.js';
import type { DeliveryWorker } from './delivery-worker.js';
import { subscribesTo, type Endpoint } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';
import { isPostEvent, type EventInput } from './event.js';
import type { EventStore } from './event-store.js';
import { ANNOUNCING_TYPES, buildPayload, dependsOnEarlier, wasAcceptedBefore } from './payload.js';

export interface EventServiceDeps {
  events: EventStore;
  endpoints: EndpointStore;
  deliveries: DeliveryStore;
  worker: Pick<DeliveryWorker, 'leaseForNew' | 'take' | 'nudge'>;
  clock: Clock;
  notifier: Notifier;
  log: Logger;
}

export interface EventService {
  /** Idempotent by event id; when it returns, every event is stored and will reach its endpoints whatever happens to this process. */
  record(events: EventInput[]): Promise<void>;
  /** Sends a test to one endpoint, whatever it subscribes to. @returns the delivery's id */
  recordTest(event: Extract<EventInput, { type: 'webhook.test' }>, endpoint: Endpoint): Promise<string>;
  /** Finishes fan-outs that a crash cut short. */
  sweep(): Promise<void>;
}

/** A fan-out that takes longer than this died. */
const STUCK_AFTER_MS = 10_000;

export function createEventService(deps: EventServiceDeps): EventService {
  async function fanOut(events: EventInput[]): Promise<void> {
    const endpoints = await deps.endpoints.listByProfiles([...new Set(events.map(({ profileId }) => profileId))]);
    const earlier = (await deps.events.listByPosts(events.filter(dependsOnEarlier).map(({ data }) => data.postId), ANNOUNCING_TYPES)).filter(isPostEvent);
    const now = deps.clock.now();
    const made = events.flatMap((event) => {
      const acceptedBefore = dependsOnEarlier(event) && wasAcceptedBefore(event, earlier.filter(({ data }) => data.postId === event.data.postId));
      return endpoints.filter(({ profileId }) => profileId === event.profileId).flatMap((endpoint) => makeDelivery(event, endpoint, acceptedBefore, now) ?? []);
    });
    await write(made);
    await deps.events.markFannedOut(events.map(({ id }) => id));
  }

  /** Deliveries that can be sent at once are written as claimed already; the rest waits to be claimed. */
  async function write(made: Delivery[]): Promise<void> {
    if (made.length === 0) return;
    const byEndpoint = groupByEndpoint(made);
    for (const [endpointId, group] of byEndpoint) {
      const waiting = group.filter(({ state }) => state === 'waiting');
      const lease = waiting.length === 0 ? null : deps.worker.leaseForNew(endpointId, waiting.length);
      if (lease !== null) for (const delivery of waiting) Object.assign(delivery, { state: 'sending', dueAt: null, lease });
    }
    const written = await deps.deliveries.insert(made);
    const mine = made.filter(({ id }) => written.has(id));
    deps.worker.take(mine.filter(({ state }) => state === 'sending'));
    deps.worker.nudge([...new Set(mine.filter(({ state }) => state === 'waiting').map(({ endpointId }) => endpointId))]);
    for (const accountId of new Set(mine.map((delivery) => delivery.accountId))) deps.notifier.notify(`account:${accountId}:deliveries`);
  }

  return {
    async record(events) {
      const fresh = await deps.events.insert(events, deps.clock.now());
      const open = events.filter(({ id }) => fresh.has(id));
      if (open.length === 0) return;
      // The events are safe now; what fails from here on is finished by the sweep.
      try {
        await fanOut(open);
      } catch (error) {
        deps.log.error({ err: error, events: open.length }, 'making deliveries failed; the sweep finishes it');
      }
    },
    async recordTest(event, endpoint) {
      await deps.events.insert([event], deps.clock.now());
      const delivery = makeTest(event, endpoint, deps.clock.now());
      await write([delivery]);
      await deps.events.markFannedOut([event.id]);
      return delivery.id;
    },
    async sweep() {
      const stuck = await deps.events.listStuck(new Date(deps.clock.now().getTime() - STUCK_AFTER_MS), 200);
      // A test's endpoint isn't known any more: whoever asked for it asks again.
      const tests = stuck.filter((event) => !isPostEvent(event));
      await deps.events.markFannedOut(tests.map(({ id }) => id));
      const rest = stuck.filter(isPostEvent);
      if (rest.length > 0) await fanOut(rest);
    },
  };
}

function makeDelivery(event: EventInput, endpoint: Endpoint, acceptedBefore: boolean, now: Date): Delivery | null {
  const payload = buildPayload(endpoint.style, event, { url: endpoint.url, acceptedBefore });
  if (payload === null || !subscribesTo(endpoint, payload.event)) return null;
  const delivery = newDelivery(event, endpoint, payload, now);
  if (endpoint.state === 'enabled') return delivery;
  return { ...delivery, state: 'skipped', dueAt: null, endedAt: now, note: `The endpoint was ${endpoint.state} when this happened.` };
}

function makeTest(event: EventInput, endpoint: Endpoint, now: Date): Delivery {
  const payload = buildPayload(endpoint.style, event, { url: endpoint.url, acceptedBefore: false });
  if (payload === null) throw new Error('a test always has a payload');
  return { ...newDelivery(event, endpoint, payload, now), trigger: 'test', maxTries: 1 };
}

function newDelivery(event: EventInput, endpoint: Endpoint, payload: { event: string; body: string }, now: Date): Delivery {
  return {
    id: deliveryId(event.id, endpoint.id), accountId: endpoint.accountId, profileId: endpoint.profileId, endpointId: endpoint.id, endpointUrl: endpoint.url,
    eventId: event.id, eventType: event.type, event: payload.event, postId: isPostEvent(event) ? event.data.postId : null, body: payload.body,
    state: 'waiting', dueAt: now, lease: null, tries: 0, maxTries: SCHEDULE_S.length, trigger: 'automatic', attemptCount: 0, attempts: [],
    note: null, lastStatus: null, lastError: null, createdAt: now, endedAt: null, resumeTo: null,
  };
}

function groupByEndpoint(deliveries: Delivery[]): Map<string, Delivery[]> {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const group = groups.get(delivery.endpointId) ?? [];
    group.push(delivery);
    groups.set(delivery.endpointId, group);
  }
  return groups;
}
