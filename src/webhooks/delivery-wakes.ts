/** Wake-ups of endpoints: one each, for the earliest delivery that waits; it asks for the next one itself. */
import type { Jobs } from '../jobs/jobs.js';
import type { Clock } from '../lib/clock.js';

export interface WakesDeps {
  jobs: Pick<Jobs, 'wakeAt'>;
  clock: Clock;
}

export interface Wakes {
  /** Asks for a wake-up unless an earlier one is to come. */
  ask(endpointId: string, at: Date): Promise<void>;
  /** The wake-up that was asked for is here. */
  came(endpointId: string): void;
}

const MOST_REMEMBERED = 10_000;

export function createWakes({ jobs, clock }: WakesDeps): Wakes {
  const next = new Map<string, number>();

  /** They may come to another process, and then nobody tells. */
  function forgetPast(now: number): void {
    for (const [endpointId, at] of next) if (at <= now) next.delete(endpointId);
  }

  return {
    async ask(endpointId, at) {
      const asked = next.get(endpointId);
      const now = clock.now().getTime();
      if (asked !== undefined && asked <= at.getTime() && asked > now) return;
      if (next.size >= MOST_REMEMBERED) forgetPast(now);
      next.set(endpointId, at.getTime());
      await jobs.wakeAt('deliver', endpointId, at);
    },
    came(endpointId) {
      next.delete(endpointId);
    },
  };
}
