/** Builds the webhooks and joins their parts; a page of compose.ts. */
import type { Router } from 'express';
import type { Db } from 'mongodb';
import type { CollectionIndexes } from './db/database.js';
import { createFactOutbox } from './db/outbox.js';
import type { Jobs } from './jobs/jobs.js';
import type { Actor } from './lib/actor.js';
import { createAddressGuard } from './lib/address-guard.js';
import type { Clock } from './lib/clock.js';
import { createHttpClient } from './lib/http-client.js';
import type { Mailer } from './lib/mailer.js';
import type { Logger } from './lib/logger.js';
import type { Notifier } from './lib/notifier.js';
import type { Seal } from './lib/seal.js';
import { deliveryPages } from './webhooks/delivery-pages.js';
import { deliveryIndexes } from './webhooks/delivery-doc.js';
import { createDeliveryLogStore } from './webhooks/delivery-log-store.js';
import { createRecorder } from './webhooks/delivery-recorder.js';
import { createSender } from './webhooks/delivery-sender.js';
import { createDeliveryLine } from './webhooks/delivery-line.js';
import { createDeliveryService, type DeliveryService } from './webhooks/delivery-service.js';
import { createDeliveryStats } from './webhooks/delivery-stats.js';
import { createDeliveryResendStore } from './webhooks/delivery-resend-store.js';
import { createDeliveryStore } from './webhooks/delivery-store.js';
import { createDeliveryWorker, type WorkerLimits } from './webhooks/delivery-worker.js';
import { developerPages } from './webhooks/developer-pages.js';
import { createEndpointChanges } from './webhooks/endpoint-changes.js';
import { createEndpointHealth } from './webhooks/endpoint-health.js';
import { endpointPages } from './webhooks/endpoint-pages.js';
import { createEndpointPlaces } from './webhooks/endpoint-places.js';
import { createEndpointRegistration } from './webhooks/endpoint-registration.js';
import { TIMEOUT_S } from './webhooks/endpoint.js';
import { createEndpointRates } from './webhooks/endpoint-rate.js';
import { createEndpointService, type EndpointService } from './webhooks/endpoint-service.js';
import { createEndpointStore, endpointIndexes } from './webhooks/endpoint-store.js';
import { isOwnInbox, schemeProblem } from './webhooks/endpoint-url.js';
import { DAY_S, RETENTION_DAYS, type EventInput } from './webhooks/event.js';
import { createEventService, type EventService } from './webhooks/event-service.js';
import { createEventStore, eventIndexes } from './webhooks/event-store.js';
import { hookApi } from './webhooks/hook-api.js';
import { inboxPages } from './webhooks/inbox-pages.js';
import { inboxReceiver } from './webhooks/inbox-receiver.js';
import { createInboxService, type InboxService } from './webhooks/inbox-service.js';
import { createInboxStore, inboxIndexes } from './webhooks/inbox-store.js';
import { createNotices, noticeIndexes } from './webhooks/notices.js';
import { createRecoveryService } from './webhooks/recovery.js';
import { createRemoteWorker } from './webhooks/remote-worker.js';
import { createTargets } from './webhooks/targets.js';
import { webhookApi } from './webhooks/webhook-api.js';

export interface WebhooksDeps {
  db: Db;
  seal: Seal;
  clock: Clock;
  log: Logger;
  jobs: Pick<Jobs, 'handle' | 'sweep' | 'wakeAt'>;
  notifier: Notifier;
  userAgent: string;
  /** Signpost's address as users and receivers see it. */
  publicUrl(): string;
  /** Signpost's address as this process reaches it: the address that was bound. */
  localUrl(): string;
  loopbackOnly: boolean;
  /** Ranges besides public addresses that may be called. */
  allowCidrs?: readonly string[];
  /** False: https only. */
  allowHttp?: boolean;
  /** How long events and deliveries are kept; 30 days unless given. */
  retentionDays?: number;
  /** Null or absent: warnings are in the pages only. */
  mailer?: Mailer | null;
  mailOf?(accountId: string): Promise<string | null>;
  /** Authorities (PEM) that are trusted beside the usual ones, for tests. */
  extraCa?: readonly string[];
  /** DNS servers as `address:port` in place of the system's, for tests. */
  dnsServers?: readonly string[];
  /** The profile's refId, for answers of the API. */
  refId(actor: Actor): Promise<string>;
  /** The account's profiles, the primary one first. */
  profilesOf?(actor: Actor): Promise<{ id: string; title: string; isPrimary: boolean }[]>;
  /** Names this process in leases. */
  owner?: string;
  /** How many processes send, this one included; left out: one. */
  sharers?(): number;
  /** False: another process sends, this one only asks it to. */
  delivers?: boolean;
  /** How many endpoints the account's plan allows; null: no limit of the plan's. */
  endpointLimitOf?(accountId: string): Promise<number | null>;
  /** Smaller ones, for tests. */
  limits?: WorkerLimits;
  timeoutMs?: number;
  maxBacklog?: number;
  random?(): number;
}

export interface Webhooks {
  /** Takes events from the posts' outbox; idempotent by event id. */
  record: EventService['record'];
  endpoints: EndpointService;
  deliveries: DeliveryService;
  inbox: InboxService;
  hasEndpoint(actor: Actor): Promise<boolean>;
  /** Before sessions and CSRF: the inbox's door. */
  rawRouter: Router;
  apiRouters: Router[];
  pages: Router[];
  /** Lets requests under way end for up to `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** @param retentionDays how long events and deliveries are kept */
export function webhookIndexesFor(retentionDays: number): CollectionIndexes[] {
  return webhookIndexes.map(({ collection, indexes }) => ({
    collection, indexes: indexes.map((index) => (KEPT_FOR_A_TIME.includes(collection) && index.name === 'retention' ? { ...index, expireAfterSeconds: retentionDays * DAY_S } : index)),
  }));
}

const KEPT_FOR_A_TIME: readonly string[] = ['webhook_events', 'webhook_deliveries'];

export const webhookIndexes: CollectionIndexes[] = [...endpointIndexes, ...eventIndexes, ...deliveryIndexes, ...inboxIndexes, ...noticeIndexes];

const SWEEP_EVERY_MS = 5_000;
/** What a process that died left in the middle; all else of it begins at once. */
const LEFT_EVERY_MS = 15_000;
const HEALTH_EVERY_MS = 60_000;

export function composeWebhooks(deps: WebhooksDeps): Webhooks {
  const { db, seal, clock, log, notifier, publicUrl } = deps;
  const guard = createAddressGuard({ allowLoopback: deps.loopbackOnly, allowCidrs: deps.allowCidrs ?? [], ...(deps.dnsServers === undefined ? {} : { dnsServers: deps.dnsServers }) });
  const http = createHttpClient({ guard, userAgent: deps.userAgent, ...(deps.extraCa === undefined ? {} : { extraCa: deps.extraCa }) });
  // The inbox may live on an address that users must not call: it is called by this client, and nothing else is.
  const ownHttp = createHttpClient({ userAgent: deps.userAgent });
  const ownInboxUrl = (url: string): string | null => (isOwnInbox(url, publicUrl()) ? deps.localUrl() + new URL(url).pathname : null);

  const urls = { guard, loopbackOnly: deps.loopbackOnly, allowHttp: deps.allowHttp ?? false, publicUrl, localUrl: deps.localUrl };
  const endpointStore = createEndpointStore(db);
  const deliveryStore = createDeliveryStore(db);
  const deliveryLog = createDeliveryLogStore(db);
  const resends = createDeliveryResendStore(db);
  const line = createDeliveryLine(db);
  const targets = createTargets({ endpoints: endpointStore, seal, clock });
  const recorder = createRecorder({ deliveries: deliveryStore, endpoints: endpointStore, notifier, log });
  const sender = createSender({
    http, ownHttp, ownInboxUrl, refuses: (url) => schemeProblem(new URL(url), urls), clock, userAgent: deps.userAgent, maxTimeoutMs: deps.timeoutMs ?? TIMEOUT_S.max * 1_000,
  });
  const worker = deps.delivers === false ? createRemoteWorker(deps) : createDeliveryWorker({
    deliveries: deliveryStore, line, rates: createEndpointRates(db), recorder, sender, targets, jobs: deps.jobs, clock, log, random: deps.random ?? Math.random,
    abort: async () => void (await Promise.all([http.destroy(), ownHttp.destroy()])),
    ...(deps.owner === undefined ? {} : { owner: deps.owner }),
    ...(deps.sharers === undefined ? {} : { sharers: deps.sharers }),
    shareBreaker: async (endpointId, breaker) => {
      await endpointStore.noteBreaker(endpointId, breaker);
      targets.forget(endpointId);
    },
    takeProbe: async (endpointId, meanwhile, knownAt) => {
      const isOurs = await endpointStore.takeProbe(endpointId, meanwhile, knownAt);
      targets.forget(endpointId);
      return isOurs;
    },
    onGone: (endpointId) => endpoints.disable(endpointId, 'The receiver answered 410 Gone.'),
    ...(deps.limits === undefined ? {} : { limits: deps.limits }),
  });
  const eventStore = createEventStore(db);
  const events = createEventService({ events: eventStore, endpoints: targets, deliveries: deliveryStore, worker, clock, notifier, ...(deps.maxBacklog === undefined ? {} : { maxBacklog: deps.maxBacklog }) });
  const outbox = createFactOutbox<EventInput>({
    db, collection: 'webhook_endpoints', log,
    record: async (recorded) => {
      await notices.disabled(recorded);
      await events.record(recorded);
    },
  });
  const notices = createNotices({ db, mailer: deps.mailer ?? null, mailOf: deps.mailOf ?? (async () => null), publicUrl, clock, log });
  if (deps.delivers !== false) deps.jobs.sweep('mails about endpoints', HEALTH_EVERY_MS, () => notices.sweep());
  deps.jobs.sweep('endpoint events', LEFT_EVERY_MS, () => outbox.relay());
  const places = createEndpointPlaces({ endpoints: endpointStore, ...(deps.endpointLimitOf === undefined ? {} : { limitOf: deps.endpointLimitOf }) });
  const changes = createEndpointChanges({ endpoints: endpointStore, deliveries: deliveryStore, targets, seal, clock, notifier });
  const endpoints = createEndpointService({ endpoints: endpointStore, places, changes, deliveries: deliveryStore, line, events, eventsWritten: () => outbox.nudge(), worker, seal, clock, urls });
  const registration = createEndpointRegistration({ endpoints: endpointStore, places, changes, worker, seal, clock, urls });
  const deliveries = createDeliveryService({
    log: deliveryLog, resends, line, stats: createDeliveryStats(db), retentionDays: deps.retentionDays ?? RETENTION_DAYS, worker, endpointExists: async (id) => (await endpointStore.find(id)) !== null, notifier, clock,
    endpointIds: async (accountId) => (await endpointStore.listByAccount(accountId)).map(({ id }) => id),
  });
  const recovery = createRecoveryService({ endpoints: endpointStore, resends, line, get: (actor, id) => endpoints.get(actor, id), worker, notifier, clock, log });
  const inbox = createInboxService({ inboxes: createInboxStore(db), endpoints, publicUrl, notifier, clock });

  deps.jobs.handle('deliver', (endpointId) => worker.wake(endpointId));
  deps.jobs.handle('deliver-now', (deliveryId) => worker.sendNow(deliveryId));
  const health = createEndpointHealth({ endpoints: endpointStore, deliveries: deliveryLog, disable: (id, reason) => endpoints.disable(id, reason), warn: (endpoint, days) => notices.warn(endpoint, days), clock, log });
  deps.jobs.sweep('endpoint health', HEALTH_EVERY_MS, () => health.sweep());
  deps.jobs.sweep('recoveries', LEFT_EVERY_MS, () => recovery.sweep());
  deps.jobs.sweep('deliveries', SWEEP_EVERY_MS, () => worker.sweep());

  return {
    record: (recorded) => events.record(recorded),
    endpoints,
    deliveries,
    inbox,
    hasEndpoint: async (actor) => (await endpoints.list(actor)).length > 0,
    rawRouter: inboxReceiver({ inbox }),
    apiRouters: [hookApi({ registration, refId: deps.refId }), webhookApi({ endpoints, deliveries, recovery, events: eventStore })],
    pages: [developerPages({ endpoints }), deliveryPages({ deliveries, endpoints, notifier }), endpointPages({ endpoints, deliveries, recovery, inbox, profilesOf: deps.profilesOf ?? (async () => []), clock }), inboxPages({ inbox, endpoints, notifier })],
    async stop(graceMs) {
      await recovery.stop();
      await outbox.stop();
      await worker.stop(graceMs);
      await recorder.stop();
      await Promise.all([http.destroy(), ownHttp.destroy()]);
    },
  };
}
