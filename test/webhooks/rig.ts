/** Runs the webhooks on the test database, with timers for a clock and builders for events. */
import type { Db } from 'mongodb';
import { primaryProfileId } from '../../src/accounts/profile.js';
import { composeWebhooks, webhookIndexes, type Webhooks } from '../../src/compose-webhooks.js';
import { ensureIndexes } from '../../src/db/database.js';
import type { Actor } from '../../src/lib/actor.js';
import { newId, newPostId, newRefId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import type { Mailer } from '../../src/lib/mailer.js';
import { createNotifier, type Notifier } from '../../src/lib/notifier.js';
import { createSeal } from '../../src/lib/seal.js';
import type { Delivery } from '../../src/webhooks/delivery.js';
import { createDeliveryLine, type DeliveryLine } from '../../src/webhooks/delivery-line.js';
import { createDeliveryLogStore } from '../../src/webhooks/delivery-log-store.js';
import { createDeliveryStore, type DeliveryStore } from '../../src/webhooks/delivery-store.js';
import type { WorkerLimits } from '../../src/webhooks/delivery-worker.js';
import type { PostEventInput, PublicationFacts } from '../../src/webhooks/event.js';
import { temporaryDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';

export interface Rig {
  webhooks: Webhooks;
  deliveries: DeliveryStore;
  line: DeliveryLine;
  actor: Actor;
  notifier: Notifier;
  /** Runs every sweep once. */
  sweep(): Promise<void>;
  /** Wake-ups that were asked for. */
  wakeUps: { endpointId: string; at: Date }[];
  /** Adds to what the webhooks take for the time. */
  advance(ms: number): void;
  now(): Date;
  /** Another process on the same database. */
  another(): Promise<Webhooks>;
  all(): Promise<Delivery[]>;
  /** Waits until the one delivery of this event fits. */
  until(what: string, fits: (delivery: Delivery) => boolean): Promise<Delivery>;
  db: Db;
  collection(name: string): ReturnType<Db['collection']>;
  stop(): Promise<void>;
}

export interface RigOptions {
  limits?: Partial<WorkerLimits>;
  timeoutMs?: number;
  loopbackOnly?: boolean;
  publicUrl?: string;
  maxBacklog?: number;
  extraCa?: readonly string[];
  allowCidrs?: readonly string[];
  dnsServers?: readonly string[];
  mailer?: Mailer;
  sharers?: () => number;
  localUrl?: () => string;
}

const LIMITS: WorkerLimits = { total: 50, repeats: 40, crowdedAt: 40, perEndpoint: 5, perHost: 20, queuePerEndpoint: 20, queueTotal: 1_000, leaseMs: 60_000, leaseReserveMs: 5_000 };

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const { db } = await temporaryDatabase();
  await ensureIndexes(db, webhookIndexes);
  const notifier = createNotifier();
  const seal = createSeal(Buffer.alloc(32, 7));
  const accountId = newId('acc');
  const actor: Actor = { accountId, profileId: primaryProfileId(accountId), userId: null, isAdministrator: false, timeZone: 'UTC', via: 'page' };
  const wakeUps: Rig['wakeUps'] = [];
  const running: Webhooks[] = [];
  const sweeps: (() => Promise<void>)[] = [];
  let offsetMs = 0;
  const now = () => new Date(Date.now() + offsetMs);

  function compose(): Webhooks {
    const handlers = new Map<string, (key: string) => Promise<void>>();
    const made = composeWebhooks({
      ...(options.extraCa === undefined ? {} : { extraCa: options.extraCa }),
      ...(options.allowCidrs === undefined ? {} : { allowCidrs: options.allowCidrs }),
      ...(options.dnsServers === undefined ? {} : { dnsServers: options.dnsServers }),
      ...(options.mailer === undefined ? {} : { mailer: options.mailer, mailOf: async () => 'person@example.com' }),
      db, seal, notifier, clock: { now }, log: createLogger('silent'), userAgent: 'Signpost/test', owner: `rig-${running.length}`, publicUrl: () => options.publicUrl ?? 'http://127.0.0.1:9', localUrl: options.localUrl ?? (() => 'http://127.0.0.1:9'),
      loopbackOnly: options.loopbackOnly ?? true, refId: async () => 'ref', random: () => 0, timeoutMs: options.timeoutMs ?? 5_000, ...(options.maxBacklog === undefined ? {} : { maxBacklog: options.maxBacklog }), limits: { ...LIMITS, ...options.limits },
      ...(options.sharers === undefined ? {} : { sharers: options.sharers }),
      jobs: {
        handle: (name, handler) => void handlers.set(name, handler),
        sweep: (_name, _everyMs, handler) => void sweeps.push(handler),
        wakeAt: async (name, key, at) => {
          wakeUps.push({ endpointId: key, at });
          setTimeout(() => void handlers.get(name)?.(key), Math.max(0, at.getTime() - now().getTime())).unref();
        },
      },
    });
    running.push(made);
    return made;
  }

  const webhooks = compose();
  const deliveries = createDeliveryStore(db);
  const deliveryLog = createDeliveryLogStore(db);
  const line = createDeliveryLine(db);
  const collection = (name: string) => db.collection(name);
  const all = async () => (await db.collection('webhook_deliveries').find({}, { projection: { _id: 1 } }).toArray()).map(({ _id }) => String(_id));
  const load = async () => {
    const found = await Promise.all((await all()).map((id) => deliveryLog.find(actor.accountId, id)));
    return found.filter((delivery): delivery is Delivery => delivery !== null);
  };
  return {
    webhooks, db, deliveries, line, actor, notifier, wakeUps, now, collection,
    sweep: async () => {
      for (const sweep of sweeps) await sweep();
    },
    advance: (ms) => void (offsetMs += ms),
    another: async () => compose(),
    all: load,
    until: (what, fits) => waitUntil(what, async () => (await load()).find(fits)),
    stop: async () => {
      await Promise.all(running.map((one) => one.stop(0)));
    },
  };
}

/** A publication as an event tells it; published unless told otherwise. */
export function publication(overrides: Partial<PublicationFacts> = {}): PublicationFacts {
  return { id: newId('pub'), platform: 'bluesky', state: 'published', remoteId: 'at://1', url: 'https://bsky.app/1', isVideo: false, failure: null, announcesAccepted: false, ...overrides };
}

let sequence = 0;

export function postEvent(actor: Actor, overrides: Partial<Omit<PostEventInput, 'data'>> & { data?: Partial<PostEventInput['data']> } = {}): PostEventInput {
  const { data, ...rest } = overrides;
  sequence += 1;
  return {
    id: newId('evt'), type: 'post.published', at: new Date(), sequence, accountId: actor.accountId, profileId: actor.profileId, ...rest,
    data: {
      postId: newPostId(), refId: newRefId(), status: 'success', text: 'Grüße 🎉', scheduled: true, scheduledAt: new Date().toISOString(),
      publications: [publication()], ...data,
    },
  };
}
