/** Decides, from a failure's type alone, what happens next to a publication. Pure: time and chance are arguments. */
import type { FailureKind } from '../platforms/platform.js';

export interface RetryPolicy {
  /** Publish attempts in all. */
  maxTries: number;
  /** Wait before try 2, 3, ...; the last one repeats. */
  retryDelaysMs: readonly number[];
  /** Added to every wait: up to this share of it. */
  jitter: number;
  /** Wait before look-up 1, 2, ... after an unknown outcome: a slow network may still be working on the request. */
  lookUpDelaysMs: readonly number[];
  /** How long after an attempt began a network may still make it public: a look-up before that can find it, but not rule it out. */
  settleMs: number;
  /** That many look-ups after `settleMs` must find nothing before it is sent again. */
  lookUpsBeforeResend: number;
  /** After that many look-ups that couldn't tell, a person decides. */
  maxLookUps: number;
  /** A publication that is later than this is not sent any more. */
  latenessLimitMs: number;
  /** Sent later than this counts as late: the post's own wish for that case applies, and a channel's late posts go out one by one. */
  lateAfterMs: number;
  /** Between two late posts of one channel. */
  lateGapMs: number;
}

/** Five attempts over about an hour. */
export const defaultRetryPolicy: RetryPolicy = {
  maxTries: 5,
  retryDelaysMs: [30_000, 120_000, 600_000, 2_700_000],
  jitter: 0.2,
  lookUpDelaysMs: [2_000, 10_000, 20_000, 10_000, 60_000, 300_000],
  settleMs: 30_000,
  lookUpsBeforeResend: 2,
  maxLookUps: 8,
  latenessLimitMs: 24 * 3_600_000,
  lateAfterMs: 300_000,
  lateGapMs: 10_000,
};

export type NextStep =
  | { do: 'retry'; at: Date }
  | { do: 'fail' }
  | { do: 'hold' }
  | { do: 'reconcile'; at: Date }
  | { do: 'unconfirm' };

export interface FailureFacts {
  kind: FailureKind;
  /** The network's own time, for `rate-limited`. */
  retryAt?: Date | undefined;
  /** Publish attempts made, this one included. */
  tries: number;
  /** True when the platform can be asked what became of an attempt. */
  canLookUp: boolean;
  now: Date;
  /** 0 to 1. */
  random: number;
}

/**
 * rejected never again; signed-out held; unreachable and rate-limited again with growing, jittered waits, the network's own time honoured;
 * unknown reconciled where the platform can be asked, else unconfirmed.
 */
export function nextStep(facts: FailureFacts, policy: RetryPolicy): NextStep {
  if (facts.kind === 'rejected') return { do: 'fail' };
  if (facts.kind === 'signed-out') return { do: 'hold' };
  if (facts.kind === 'unknown') {
    return facts.canLookUp ? { do: 'reconcile', at: delayed(facts, policy.lookUpDelaysMs, 1, policy.jitter) } : { do: 'unconfirm' };
  }
  if (facts.tries >= policy.maxTries) return { do: 'fail' };
  const at = delayed(facts, policy.retryDelaysMs, facts.tries, policy.jitter);
  return { do: 'retry', at: new Date(Math.max(at.getTime(), networksTime(facts))) };
}

/** A network that names a time beyond any of its limits is asked again before. */
const LONGEST_WAIT_MS = 25 * 3_600_000;

/** When the network says that it takes more, in ms since 1970; 0 when it says nothing. */
export function networksTime({ retryAt, now }: Pick<FailureFacts, 'retryAt' | 'now'>): number {
  const at = retryAt?.getTime() ?? 0;
  return Number.isNaN(at) ? 0 : Math.min(at, now.getTime() + LONGEST_WAIT_MS);
}

export interface LookUpFacts {
  /** not-found: certainly not there. cant-tell: the network could not be asked. */
  answer: 'not-found' | 'cant-tell';
  /** Look-ups, `settleMs` or more after the last publish attempt began, that found nothing, this one included. */
  notFound: number;
  /** All look-ups since the last publish attempt, this one included. */
  lookUps: number;
  tries: number;
  /** The platform's `isIdempotent`. */
  isIdempotent: boolean;
  now: Date;
  random: number;
}

/** After a look-up that did not find the post: ask again, send again, or leave it to a person. */
export function afterLookUp(facts: LookUpFacts, policy: RetryPolicy): NextStep {
  const isRuledOut = facts.answer === 'not-found' && (facts.isIdempotent || facts.notFound >= policy.lookUpsBeforeResend);
  if (isRuledOut) {
    return facts.tries >= policy.maxTries ? { do: 'fail' } : { do: 'retry', at: facts.now };
  }
  if (facts.lookUps >= policy.maxLookUps) return { do: 'unconfirm' };
  return { do: 'reconcile', at: delayed(facts, policy.lookUpDelaysMs, facts.lookUps + 1, policy.jitter) };
}

function delayed(facts: { now: Date; random: number }, delaysMs: readonly number[], count: number, jitter: number): Date {
  const base = delaysMs[Math.min(count, delaysMs.length) - 1] ?? 0;
  return new Date(facts.now.getTime() + base * (1 + jitter * facts.random));
}
