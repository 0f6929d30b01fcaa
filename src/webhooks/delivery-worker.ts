/** Sends what is due: claims in batches, a few at a time per endpoint, stores every attempt, and decides the next step. */
import type { Jobs } from '../jobs/jobs.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import { afterAttempt, breakerFrom, newBreaker, newsOf, type StoredBreaker } from './breaker.js';
import { nextStep, type AttemptResult, type Delivery, type Lease } from './delivery.js';
import { createLanes, isUrgent, type Lane, type LaneLimits } from './delivery-lanes.js';
import type { Recorder } from './delivery-recorder.js';
import type { Sender } from './delivery-sender.js';
import { createClaims, type ClaimsDeps } from './delivery-claims.js';
import type { DeliveryStore } from './delivery-store.js';
import type { Endpoint } from './endpoint.js';

export interface WorkerLimits extends LaneLimits {
  /** Must outlast a request's time-out and the wait in memory. */
  leaseMs: number;
  /** A queued delivery with less lease left than this is given back instead of sent. */
  leaseReserveMs: number;
}

export const WORKER_LIMITS: WorkerLimits = { total: 200, repeats: 150, crowdedAt: 100, perEndpoint: 5, perHost: 40, queuePerEndpoint: 2_000, queueTotal: 20_000, leaseMs: 75_000, leaseReserveMs: 40_000 };

/** A delivery that was claimed this often without a stored attempt takes its sender down with it. */
const MAX_CLAIMS = 5;
const ENDPOINTS_PER_CLAIM = 50;
/** A claim that takes longer than this lost its answer, or is about to: at worst a webhook goes out twice, with the same id. */
const STRAY_AFTER_MS = 8_000;

export interface WorkerDeps extends ClaimsDeps {
  deliveries: DeliveryStore;
  recorder: Recorder;
  sender: Sender;
  /** The receiver answered 410. */
  onGone(endpointId: string): Promise<void>;
  jobs: Pick<Jobs, 'wakeAt'>;
  clock: Clock;
  log: Logger;
  random(): number;
  /** Breaks off the requests under way. */
  abort(): Promise<void>;
  limits?: WorkerLimits;
  /** Names this process in leases. */
  owner?: string;
  /** Tells the other processes that an endpoint was parked, or is no longer. */
  shareBreaker(endpointId: string, breaker: StoredBreaker): Promise<void>;
  /** How many processes send, this one included; left out: one. */
  sharers?(): number;
}

export interface DeliveryWorker {
  /** A lease for deliveries that are made and claimed in one write, and how many of them there is room for. */
  leaseForNew(endpointId: string): { lease: Lease; room: number };
  /** Takes over deliveries that were written with `leaseForNew`. */
  take(deliveries: Delivery[]): void;
  /** Sends this waiting delivery before all others of its endpoint. */
  sendNow(deliveryId: string): Promise<void>;
  /** Its owner changed it or turned it on: what was parked may go at once. */
  unpark(endpointId: string): void;
  /** There may be due deliveries for these endpoints. */
  nudge(endpointIds: string[]): void;
  /** A wake-up: sends what is due and asks for the next wake-up. */
  wake(endpointId: string): Promise<void>;
  /** Finds due deliveries without a wake-up, and leases that ran out. */
  sweep(): Promise<void>;
  /** Stops starting requests and waits up to `graceMs` for those under way; the rest is broken off and sent again after the next start. */
  stop(graceMs: number): Promise<void>;
}

const NO_ANSWER: Omit<AttemptResult, 'startedAt' | 'url' | 'requestHeaders'> = {
  durationMs: 0, remoteAddress: null, phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null }, status: null, responseHeaders: {}, responseBody: '', responseTruncated: false,
  error: { class: 'interrupted', message: 'Signpost stopped during this attempt. The receiver may have got it; it is sent again with the same webhook-id.' }, retryAfterMs: null,
};

export function createDeliveryWorker(deps: WorkerDeps): DeliveryWorker {
  const limits = deps.limits ?? WORKER_LIMITS;
  const claims = createClaims(deps);
  const lanes = createLanes(limits, () => deps.clock.now().getTime(), deps.sharers);
  const running = new Set<Promise<void>>();
  const nextWake = new Map<string, number>();
  /** What is claimed here, queued or on its way. */
  const held = new Set<string>();
  /** Sent, and the outcome could not be stored. */
  const unrecorded = new Set<string>();
  /** Endpoints that wait for their rate limit's next share. */
  const paced = new Map<string, NodeJS.Timeout>();
  let stopping = false;
  let brokenOff = false;
  let refilling: Promise<void> | null = null;

  function newLease(): Lease {
    return { token: newToken(12), ...(deps.owner === undefined ? {} : { owner: deps.owner }), until: new Date(deps.clock.now().getTime() + limits.leaseMs) };
  }

  function track(work: Promise<void>): void {
    const settled = work.catch((error: unknown) => deps.log.error({ err: error }, 'delivering failed; the sweep goes on')).finally(() => running.delete(settled));
    running.add(settled);
  }

  function pump(): void {
    if (stopping) return;
    for (let started = lanes.next(); started !== null; started = lanes.next()) track(attempt(started.lane, started.delivery));
  }

  async function attempt(lane: Lane, delivery: Delivery): Promise<void> {
    let isAnswered = false;
    const answered = () => {
      if (isAnswered) return;
      isAnswered = true;
      lanes.answered(lane, delivery);
      afterwards(lane);
      pump();
    };
    try {
      await attemptOne(delivery, lane, answered);
    } finally {
      held.delete(delivery.id);
      lanes.ended(delivery);
      answered();
      // Only now may the next of its line be claimed.
      if (delivery.position !== null) nudge([delivery.endpointId]);
      pump();
    }
  }

  async function attemptOne(delivery: Delivery, of: Lane, answered: () => void): Promise<void> {
    const now = deps.clock.now();
    if ((delivery.lease?.until.getTime() ?? 0) - now.getTime() < limits.leaseReserveMs) return deps.deliveries.release([delivery], now);
    const found = await deps.targets.get(delivery.endpointId);
    const reason = offReason(found?.endpoint);
    // A person's resend or test goes out to a paused endpoint too: that is how one finds out whether it works again.
    if (found === null || (reason !== null && !isUrgent(delivery))) return deps.deliveries.cancelLeased(delivery, reason ?? '', now);
    adopt(of, found.endpoint);
    if (lanes.hasTooMany(of) && !isUrgent(delivery)) {
      of.hot = true;
      return deps.deliveries.release([delivery], now);
    }
    const result = await deps.sender.send(delivery, found.target, delivery.attemptCount + 1);
    noteAnswer(delivery.endpointId, of, result);
    answered();
    await settle(delivery, result);
  }

  function noteAnswer(endpointId: string, of: Lane, result: AttemptResult): void {
    of.answerMs = Math.max(1, of.answerMs * 0.7 + result.durationMs * 0.3);
    const before = of.breaker;
    const now = deps.clock.now();
    if (result.status !== null) of.answeredAt = now.getTime();
    // A failure that was sent before the endpoint was parked or repaired says nothing about it as it is now.
    if (result.error !== null && result.startedAt.getTime() < of.breakerAt) return;
    of.breaker = afterAttempt(before, result, limits.perEndpoint, now.getTime(), deps.random());
    const news = newsOf(before, of.breaker, now);
    if (news === null) return;
    of.breakerAt = now.getTime();
    track(deps.shareBreaker(endpointId, news));
    if (news.openUntil === null) return;
    giveBackParked(of);
    track(askToWake(endpointId, news.openUntil));
  }

  /** Believes a later word of another process, or of this one before it was started again. */
  function adopt(of: Lane, { breaker }: Pick<Endpoint, 'breaker'>): void {
    if (breaker === null || breaker.at.getTime() <= of.breakerAt) return;
    of.breaker = breakerFrom(breaker, limits.perEndpoint);
    of.breakerAt = breaker.at.getTime();
    giveBackParked(of);
  }

  function hold(delivery: Delivery, first = false): void {
    held.add(delivery.id);
    lanes.add(delivery, first);
  }

  function letGo(of: Lane, fits: (delivery: Delivery) => boolean): Delivery[] {
    const taken = lanes.takeBack(of, fits);
    for (const { id } of taken) held.delete(id);
    return taken;
  }

  function enqueue(deliveries: Delivery[]): void {
    for (const delivery of deliveries) hold(delivery);
    // It may have been parked while they were claimed.
    for (const endpointId of new Set(deliveries.map((delivery) => delivery.endpointId))) giveBackParked(lanes.get(endpointId));
  }

  /** What is claimed for a parked endpoint goes back; the endpoint is looked at again when it is no longer parked. */
  function giveBackParked(of: Lane): void {
    if (stopping || !lanes.isParked(of)) return;
    const back = letGo(of, (delivery) => !isUrgent(delivery));
    if (back.length === 0) return;
    of.hot = true;
    track(deps.deliveries.release(back, deps.clock.now()));
  }

  async function settle(delivery: Delivery, result: AttemptResult): Promise<void> {
    if (brokenOff && result.status === null) return interrupt(delivery, 0, result.startedAt, result.requestHeaders);
    const tries = delivery.tries + (delivery.trigger === 'manual' ? 0 : 1);
    const next = nextStep(delivery, tries, result, deps.clock.now(), deps.random());
    const nextAttemptAt = 'dueAt' in next && next.state === 'waiting' ? next.dueAt : null;
    const isStored = await deps.recorder.record({ delivery, attempt: { ...result, number: delivery.attemptCount + 1, trigger: delivery.trigger, nextAttemptAt }, next, tries });
    if (!isStored) unrecorded.add(delivery.id);
    if (result.status === 410) await deps.onGone(delivery.endpointId);
    if (nextAttemptAt === null) return;
    // It may have been turned off or removed during the request: then there is nothing to wait for.
    const reason = offReason((await deps.targets.get(delivery.endpointId))?.endpoint);
    if (reason === null) await askToWake(delivery.endpointId, nextAttemptAt);
    else await deps.deliveries.cancelWaiting(delivery.endpointId, reason, deps.clock.now());
  }

  /** One wake-up per endpoint: only the earliest is asked for; it asks for the next one itself. */
  async function askToWake(endpointId: string, at: Date): Promise<void> {
    const asked = nextWake.get(endpointId);
    if (asked !== undefined && asked <= at.getTime() && asked > deps.clock.now().getTime()) return;
    nextWake.set(endpointId, at.getTime());
    await deps.jobs.wakeAt('deliver', endpointId, at);
  }

  function afterwards(of: Lane): void {
    if (lanes.wantsMore(of)) refill();
    else lanes.forgetIdle(of);
  }

  function refill(): void {
    if (stopping || refilling !== null) return;
    refilling = claimAll()
      .catch((error: unknown) => deps.log.error({ err: error }, 'claiming deliveries failed; the sweep goes on'))
      .finally(() => {
        refilling = null;
        pump();
        // A nudge may have come after the last look.
        if (lanes.all().some(lanes.wantsMore)) refill();
      });
  }

  /** Looks at a limited endpoint again when its next share comes; should the process die before, the sweep does. */
  function later(endpointId: string, waitMs: number): void {
    if (paced.has(endpointId)) return;
    const timer = setTimeout(() => {
      paced.delete(endpointId);
      nudge([endpointId]);
    }, Math.max(1, waitMs));
    paced.set(endpointId, timer.unref());
  }

  async function claimAll(): Promise<void> {
    for (;;) {
      const wanted = lanes.all().filter(lanes.wantsMore).slice(0, ENDPOINTS_PER_CLAIM).map((of) => ({ endpointId: of.endpointId, limit: lanes.room(of) }));
      if (wanted.length === 0 || stopping) return;
      // Cold from here: a nudge that comes while the claim is under way makes it hot again.
      for (const { endpointId } of wanted) lanes.get(endpointId).hot = false;
      const now = deps.clock.now();
      const { deliveries, more, limited } = await claims.claim(wanted, now, newLease);
      enqueue(deliveries);
      for (const { endpointId } of wanted) {
        const of = lanes.get(endpointId);
        if (more.has(endpointId)) of.hot = true;
        else afterwards(of);
      }
      for (const { endpointId, nextAt } of limited) later(endpointId, nextAt - now.getTime());
      pump();
    }
  }

  /** The attempt ended with its process, not with an answer: it costs no try. */
  async function interrupt(delivery: Delivery, claims: number, startedAt: Date, requestHeaders: Record<string, string>): Promise<void> {
    const now = deps.clock.now();
    const next = claims >= MAX_CLAIMS ? ({ state: 'failed' } as const) : ({ state: 'waiting', dueAt: now } as const);
    const attempt = {
      ...NO_ANSWER, startedAt, requestHeaders, url: delivery.endpointUrl, number: delivery.attemptCount + 1, trigger: delivery.trigger, nextAttemptAt: next.state === 'waiting' ? now : null,
    };
    await deps.recorder.record({ delivery, attempt, next, tries: delivery.tries });
  }

  async function settleExpired(): Promise<void> {
    for (const delivery of await deps.deliveries.listExpired(deps.clock.now(), 500)) await interruptLeased(delivery);
  }

  async function interruptLeased(delivery: Delivery & { claims: number }): Promise<void> {
    unrecorded.delete(delivery.id);
    const until = delivery.lease?.until ?? deps.clock.now();
    await interrupt(delivery, delivery.claims, new Date(until.getTime() - limits.leaseMs), {});
  }

  /** Leased under our name and not held: the database went away in the middle of a claim or of storing an outcome. They needn't wait for their lease to run out. */
  async function settleStrays(): Promise<void> {
    if (deps.owner === undefined) return;
    const now = deps.clock.now();
    const leasedLongAgo = new Date(now.getTime() + limits.leaseMs - STRAY_AFTER_MS);
    const strays = (await deps.deliveries.listLeased(deps.owner, now, leasedLongAgo, 500)).filter(({ id }) => !held.has(id));
    await deps.deliveries.release(strays.filter(({ id }) => !unrecorded.has(id)), now);
    for (const delivery of strays.filter(({ id }) => unrecorded.has(id))) await interruptLeased(delivery);
  }

  function nudge(endpointIds: string[]): void {
    if (stopping) return;
    for (const endpointId of endpointIds) lanes.get(endpointId).hot = true;
    refill();
  }

  return {
    leaseForNew(endpointId) {
      return { lease: newLease(), room: stopping ? 0 : lanes.room(lanes.get(endpointId)) };
    },
    async sendNow(deliveryId) {
      if (stopping) return;
      const delivery = await deps.deliveries.claimOne(deliveryId, newLease());
      if (delivery === null) return;
      hold(delivery, true);
      pump();
    },
    take(deliveries) {
      enqueue(deliveries);
      pump();
    },
    unpark(endpointId) {
      Object.assign(lanes.get(endpointId), { breaker: newBreaker(limits.perEndpoint), breakerAt: deps.clock.now().getTime() });
      nudge([endpointId]);
    },
    nudge,
    async wake(endpointId) {
      if (stopping) return;
      nextWake.delete(endpointId);
      nudge([endpointId]);
      const at = await deps.deliveries.nextDueAt(endpointId);
      if (at !== null && at > deps.clock.now()) await askToWake(endpointId, at);
    },
    async sweep() {
      if (stopping) return;
      await settleExpired();
      await settleStrays();
      const due = await deps.deliveries.dueEndpoints(deps.clock.now(), 1_000);
      await Promise.all(due.map(async (endpointId) => {
        const endpoint = (await deps.targets.get(endpointId))?.endpoint;
        if (endpoint !== undefined) adopt(lanes.get(endpointId), endpoint);
        if (endpoint?.ordered === true) await deps.line.lineUp(endpointId);
      }));
      nudge(due);
    },
    async stop(graceMs) {
      stopping = true;
      for (const timer of paced.values()) clearTimeout(timer);
      await refilling;
      const queued = lanes.all().flatMap((of) => letGo(of, () => true));
      // Without a database they stay leased, and are sent when their lease has run out.
      await deps.deliveries.release(queued, deps.clock.now()).catch((error: unknown) => deps.log.warn({ err: error }, 'queued deliveries could not be given back'));
      if (running.size === 0) return;
      const late = setTimeout(() => {
        brokenOff = true;
        void deps.abort();
      }, graceMs);
      await Promise.all(running);
      clearTimeout(late);
    },
  };
}

/** @param endpoint undefined: it is gone */
function offReason(endpoint: Endpoint | undefined): string | null {
  if (endpoint === undefined) return 'The endpoint was removed.';
  return endpoint.state === 'enabled' ? null : `The endpoint is ${endpoint.state}.`;
}
