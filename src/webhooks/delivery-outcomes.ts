/** What follows from an attempt: it is stored, the next step decided, and what a process left behind that died in the middle is settled. */
import type { Clock } from '../lib/clock.js';
import { nextStep, type AttemptResult, type Delivery, type NextStep } from './delivery.js';
import type { Recorder } from './delivery-recorder.js';
import type { DeliveryStore } from './delivery-store.js';
import type { Wakes } from './delivery-wakes.js';
import { offReason } from './endpoint.js';
import type { Targets } from './targets.js';

export interface OutcomesDeps {
  deliveries: Pick<DeliveryStore, 'cancelWaiting' | 'listExpired' | 'listLeased' | 'release'>;
  recorder: Pick<Recorder, 'record'>;
  targets: Pick<Targets, 'get'>;
  /** The receiver answered 410. */
  onGone(endpointId: string): Promise<void>;
  clock: Clock;
  random(): number;
  /** Names this process in leases. */
  owner?: string;
}

export interface Outcomes {
  settle(delivery: Delivery, result: AttemptResult): Promise<void>;
  /** Leases ran out: whoever sent these died, or hangs. */
  settleExpired(): Promise<void>;
  /** Leased under our name and not held here: the database went away in the middle of a claim or of storing an outcome. They needn't wait for their lease to run out. */
  settleStrays(isHeld: (deliveryId: string) => boolean): Promise<void>;
  /** From now on a request without an answer was broken off by us. */
  breakOff(): void;
  /** Did we end this request? Then it says nothing of its receiver. */
  wasBrokenOff(result: AttemptResult): boolean;
}

/** A delivery that was claimed this often and got no outcome takes its sender down with it. */
const MAX_CLAIMS = 5;
/** Who was claimed beside it had no part in it: from the second time on each waits for another while, doubling, so that they part. */
const PART_MS = 30_000;
/** A claim that takes longer than this lost its answer, or is about to: at worst a webhook goes out twice, with the same id. */
const STRAY_AFTER_MS = 8_000;
const AT_ONCE = 500;

const NO_ANSWER: Omit<AttemptResult, 'startedAt' | 'url' | 'requestHeaders'> = {
  durationMs: 0, remoteAddress: null, phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null }, status: null, responseHeaders: {}, responseBody: '', responseTruncated: false,
  error: { class: 'interrupted', message: 'Signpost stopped during this attempt. The receiver may have got it; it is sent again with the same webhook-id.' }, retryAfterMs: null,
};

function afterInterruption(delivery: Delivery, claims: number, now: Date, random: number): NextStep {
  if (claims >= MAX_CLAIMS) return delivery.resumeTo ?? { state: 'failed' };
  const waitMs = claims < 2 ? 0 : PART_MS * 2 ** (claims - 1) * random;
  return { state: 'waiting', dueAt: new Date(now.getTime() + Math.round(waitMs)) };
}

export function createOutcomes(deps: OutcomesDeps & { wakes: Wakes }, { leaseMs }: { leaseMs: number }): Outcomes {
  /** Sent, and the outcome could not be stored. */
  const unrecorded = new Set<string>();
  let brokenOff = false;

  function wasBrokenOff(result: AttemptResult): boolean {
    return brokenOff && result.status === null;
  }

  /**
   * The attempt ended with its process, not with an answer: it costs no try.
   * @param claims how often it was claimed since its last outcome; 0 when it is known that it did no harm
   */
  async function interrupt(delivery: Delivery, claims: number, startedAt: Date, requestHeaders: Record<string, string>): Promise<void> {
    const now = deps.clock.now();
    const next = afterInterruption(delivery, claims, now, deps.random());
    const nextAttemptAt = 'dueAt' in next && next.state === 'waiting' ? next.dueAt : null;
    const attempt = { ...NO_ANSWER, startedAt, requestHeaders, url: delivery.endpointUrl, number: delivery.attemptCount + 1, trigger: delivery.trigger, nextAttemptAt };
    await deps.recorder.record({ delivery, attempt, next, tries: delivery.tries, interrupted: { claims } });
    // Whoever settles what a process left sends what is due as well.
    if (nextAttemptAt !== null && nextAttemptAt > now) await deps.wakes.ask(delivery.endpointId, nextAttemptAt);
  }

  async function interruptLeased(delivery: Delivery & { claims: number }): Promise<void> {
    unrecorded.delete(delivery.id);
    const until = delivery.lease?.until ?? deps.clock.now();
    await interrupt(delivery, delivery.claims, new Date(until.getTime() - leaseMs), {});
  }

  return {
    async settle(delivery, result) {
      if (wasBrokenOff(result)) return interrupt(delivery, 0, result.startedAt, result.requestHeaders);
      const tries = delivery.tries + (delivery.trigger === 'manual' ? 0 : 1);
      const next = nextStep(delivery, tries, result, deps.clock.now(), deps.random());
      const nextAttemptAt = 'dueAt' in next && next.state === 'waiting' ? next.dueAt : null;
      const isStored = await deps.recorder.record({ delivery, attempt: { ...result, number: delivery.attemptCount + 1, trigger: delivery.trigger, nextAttemptAt }, next, tries });
      if (!isStored) unrecorded.add(delivery.id);
      if (result.status === 410) await deps.onGone(delivery.endpointId);
      if (nextAttemptAt === null) return;
      // It may have been turned off or removed during the request: then there is nothing to wait for.
      const reason = offReason((await deps.targets.get(delivery.endpointId))?.endpoint);
      if (reason === null) await deps.wakes.ask(delivery.endpointId, nextAttemptAt);
      else await deps.deliveries.cancelWaiting(delivery.endpointId, reason, deps.clock.now());
    },
    async settleExpired() {
      await Promise.all((await deps.deliveries.listExpired(deps.clock.now(), AT_ONCE)).map(interruptLeased));
    },
    async settleStrays(isHeld) {
      if (deps.owner === undefined) return;
      const now = deps.clock.now();
      const leasedLongAgo = new Date(now.getTime() + leaseMs - STRAY_AFTER_MS);
      const strays = (await deps.deliveries.listLeased(deps.owner, now, leasedLongAgo, AT_ONCE)).filter(({ id }) => !isHeld(id));
      await deps.deliveries.release(strays.filter(({ id }) => !unrecorded.has(id)), now);
      await Promise.all(strays.filter(({ id }) => unrecorded.has(id)).map(interruptLeased));
    },
    breakOff() {
      brokenOff = true;
    },
    wasBrokenOff,
  };
}
