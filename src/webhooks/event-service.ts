/**
 * Records events and makes a delivery for each endpoint that wants them. Deliveries are written before their event, and both by ids that
 * follow from it: whoever hands events over keeps them until `record` has ended, so a crash in between is mended by handing them over again.
 */
import { primaryProfileId } from '../accounts/profile.js';
import type { Clock } from '../lib/clock.js';
import type { Notifier } from '../lib/notifier.js';
import { deliveryId, positionOf, SCHEDULE_S, type Delivery } from './delivery.js';
import type { DeliveryStore } from './delivery-store.js';
import type { DeliveryWorker } from './delivery-worker.js';
import { endpointsFor, subscribesTo, type Endpoint } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';
import { isPostEvent, type EventInput, type PostEventInput } from './event.js';
import type { EventStore } from './event-store.js';
import { buildPayload, dependsOnEarlier, wasAnnouncedBefore } from './payload.js';

export interface EventServiceDeps {
  events: EventStore;
  endpoints: Pick<EndpointStore, 'listByProfiles'>;
  deliveries: Pick<DeliveryStore, 'insert' | 'countWaiting'>;
  worker: Pick<DeliveryWorker, 'leaseForNew' | 'take' | 'nudge' | 'sendNow'>;
  clock: Clock;
  notifier: Notifier;
  /** A smaller one, for tests. */
  maxBacklog?: number;
}

export interface EventService {
  /** Idempotent by event id; when it has ended, every event is stored and will reach its endpoints whatever happens to this process. */
  record(events: EventInput[]): Promise<void>;
  /** Sends a test to one endpoint, whatever it subscribes to. @returns the delivery's id */
  recordTest(event: Extract<EventInput, { type: 'webhook.test' }>, endpoint: Endpoint): Promise<string>;
}

/** Deliveries that may wait for one endpoint. */
const MAX_BACKLOG = 10_000;
const RECOUNT_EVERY_MS = 5_000;
const MAX_CALLS_TOGETHER = 200;
const NO_LEASE = { lease: null, room: 0 };

export function createEventService(deps: EventServiceDeps): EventService {
  const waiting: { events: EventInput[]; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let isRecording = false;
  const maxBacklog = deps.maxBacklog ?? MAX_BACKLOG;
  const backlogs = new Map<string, { count: number; countedAt: number }>();

  async function recordTogether(events: EventInput[]): Promise<void> {
    const now = deps.clock.now();
    const endpoints = await deps.endpoints.listByProfiles([...new Set(events.flatMap(({ profileId, accountId }) => [profileId, primaryProfileId(accountId)]))]);
    await write(await deliveriesFor(events, endpoints, now), new Set(endpoints.filter(isHeldBack).map(({ id }) => id)));
    await deps.events.insert(events, now);
  }

  async function deliveriesFor(events: EventInput[], known: Endpoint[], now: Date): Promise<Delivery[]> {
    const endpoints = groupBy(known, ({ profileId }) => profileId);
    const earlier = groupBy([...(await earlierEvents(events)), ...events.filter(isPostEvent)], ({ data }) => data.postId);
    return events.flatMap((event) => {
      const announcedBefore = dependsOnEarlier(event) && wasAnnouncedBefore(event, earlier.get(event.data.postId) ?? []);
      const own = endpoints.get(event.profileId) ?? [];
      const primary = primaryProfileId(event.accountId);
      const receivers = event.profileId === primary ? own : endpointsFor(own, endpoints.get(primary) ?? []);
      return receivers.flatMap((endpoint) => makeDelivery(event, endpoint, announcedBefore, now) ?? []);
    });
  }

  async function earlierEvents(events: EventInput[]): Promise<PostEventInput[]> {
    const found = await deps.events.listOutcomes(events.filter(dependsOnEarlier).map(({ data }) => data.postId));
    return found.filter(isPostEvent);
  }

  /** Deliveries that can be sent at once are written as claimed already; the rest waits to be claimed, as does everything for the endpoints `heldBack`. */
  async function write(made: Delivery[], heldBack: ReadonlySet<string>): Promise<void> {
    if (made.length === 0) return;
    for (const [endpointId, group] of groupBy(made.filter(({ state }) => state === 'waiting'), (delivery) => delivery.endpointId)) {
      const { lease, room } = heldBack.has(endpointId) ? NO_LEASE : deps.worker.leaseForNew(endpointId);
      for (const delivery of group.slice(0, room)) Object.assign(delivery, { state: 'sending', dueAt: null, lease });
      await skipBeyondBacklog(endpointId, group.slice(room));
    }
    const written = await deps.deliveries.insert(made);
    const mine = made.filter(({ id }) => written.has(id));
    deps.worker.take(mine.filter(({ state }) => state === 'sending'));
    deps.worker.nudge([...new Set(mine.filter(({ state }) => state === 'waiting').map(({ endpointId }) => endpointId))]);
    for (const accountId of new Set(mine.map((delivery) => delivery.accountId))) deps.notifier.notify(`account:${accountId}:deliveries`);
  }

  /** Counting costs as much as there is to count, so it is done now and then; what is added meanwhile is known. */
  async function backlogOf(endpointId: string): Promise<{ count: number; countedAt: number }> {
    const now = deps.clock.now().getTime();
    const known = backlogs.get(endpointId);
    if (known !== undefined && now - known.countedAt < RECOUNT_EVERY_MS) return known;
    if (backlogs.size > 1_000) backlogs.clear();
    const counted = { count: await deps.deliveries.countWaiting(endpointId, maxBacklog), countedAt: now };
    backlogs.set(endpointId, counted);
    return counted;
  }

  /** An endpoint that is far behind gets no more than it can ever catch up with; the rest is kept as skipped, to be recovered when it is well again. */
  async function skipBeyondBacklog(endpointId: string, group: Delivery[]): Promise<void> {
    if (group.length === 0) return;
    const backlog = await backlogOf(endpointId);
    const free = Math.max(0, maxBacklog - backlog.count);
    backlog.count += group.length;
    const note = 'The endpoint was too far behind: too many deliveries waited for it already. Send it again from the page of the endpoint.';
    for (const delivery of group.slice(free)) Object.assign(delivery, { state: 'skipped', dueAt: null, endedAt: delivery.createdAt, note });
  }

  /** Calls that come while others are written travel together: one round trip for all of them. */
  async function recordWaiting(): Promise<void> {
    const calls = waiting.splice(0, MAX_CALLS_TOGETHER);
    try {
      await recordTogether(distinct(calls.flatMap(({ events }) => events)));
      for (const { resolve } of calls) resolve();
    } catch (error) {
      if (calls.length === 1) return calls[0]!.reject(error);
      // One that can't be stored must not hold up the others.
      for (const call of calls) await recordTogether(distinct(call.events)).then(call.resolve, call.reject);
    }
  }

  function startRecording(): void {
    if (isRecording || waiting.length === 0) return;
    isRecording = true;
    void recordWaiting().finally(() => {
      isRecording = false;
      startRecording();
    });
  }

  return {
    record(events) {
      return new Promise((resolve, reject) => {
        waiting.push({ events, resolve, reject });
        startRecording();
      });
    },
    async recordTest(event, endpoint) {
      const delivery = makeTest(event, endpoint, deps.clock.now());
      await write([delivery], new Set());
      await deps.worker.sendNow(delivery.id);
      await deps.events.insert([event], deps.clock.now());
      return delivery.id;
    },
  };
}

/** Whose turn it is, or how many may go out, is decided by a claim. */
function isHeldBack({ ordered, maxPerMinute }: Endpoint): boolean {
  return ordered || maxPerMinute !== null;
}

function makeDelivery(event: EventInput, endpoint: Endpoint, announcedBefore: boolean, now: Date): Delivery | null {
  const payload = buildPayload(endpoint.style, event, { url: endpoint.url, announcedBefore });
  if (payload === null || !subscribesTo(endpoint, payload.event)) return null;
  // Handed over again after a crash, an event must not reach an endpoint that was added since.
  if (event.at < endpoint.createdAt) return null;
  const delivery = newDelivery(event, endpoint, payload, now);
  if (endpoint.state === 'enabled') return delivery;
  return { ...delivery, state: 'skipped', dueAt: null, endedAt: now, note: `The endpoint was ${endpoint.state} when this happened.` };
}

function makeTest(event: EventInput, endpoint: Endpoint, now: Date): Delivery {
  const payload = buildPayload(endpoint.style, event, { url: endpoint.url, announcedBefore: false });
  if (payload === null) throw new Error('a test always has a payload');
  return { ...newDelivery(event, endpoint, payload, now), trigger: 'test', maxTries: 1, position: null };
}

function newDelivery(event: EventInput, endpoint: Endpoint, payload: { event: string; body: string }, now: Date): Delivery {
  return {
    id: deliveryId(event.id, endpoint.id), accountId: endpoint.accountId, profileId: event.profileId, endpointId: endpoint.id, endpointUrl: endpoint.url,
    eventId: event.id, eventType: event.type, event: payload.event, postId: isPostEvent(event) ? event.data.postId : null, sequence: event.sequence,
    position: endpoint.ordered ? positionOf(event.id, event.sequence) : null, body: payload.body,
    state: 'waiting', dueAt: now, lease: null, tries: 0, maxTries: SCHEDULE_S.length, trigger: 'automatic', attemptCount: 0, attempts: [],
    note: null, lastStatus: null, lastError: null, createdAt: now, endedAt: null, resumeTo: null, recoveryId: null,
  };
}

function distinct(events: EventInput[]): EventInput[] {
  return [...new Map(events.map((event) => [event.id, event])).values()];
}

function groupBy<T>(items: T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
