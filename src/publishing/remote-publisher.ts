/** Stands in for the publisher in a process that publishes nothing itself: it asks the clock to wake one that does. */
import { earliestDue } from '../posts/post.js';
import type { Publisher } from './publisher.js';

/** Later ones get their wake-up from a worker's sweep when they come near. */
const WAKE_AHEAD_MS = 60_000;

export function createRemotePublisher({ now, wakeAt }: { now(): Date; wakeAt(at: Date): Promise<void> }): Publisher {
  return {
    nudge: () => undefined,
    sweep: async () => undefined,
    async posted(posts) {
      const current = now().getTime();
      // A wake-up is asked for once per second: at the second's end it finds all that was asked for before.
      const soonest = (Math.floor(current / 1_000) + 1) * 1_000;
      const times = posts.map((post) => earliestDue(post.publications)?.getTime()).filter((at) => at !== undefined && at - current <= WAKE_AHEAD_MS);
      for (const at of new Set(times.map((time) => Math.max(soonest, time ?? 0)))) await wakeAt(new Date(at));
    },
    stop: async () => undefined,
  };
}
