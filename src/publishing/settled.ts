/** Waits until a post that goes out at once has an answer for whoever asked for it. */
import type { Notifier } from '../lib/notifier.js';
import { findPlatform } from '../platforms/registry.js';
import { hasFollowUpsToDo, type Post, type Step } from '../posts/post.js';

export interface SettledDeps {
  find(id: string): Promise<Post | null>;
  notifier: Notifier;
}

/** Another process may do the work: look at the document besides being told, soon at first and then this often. */
const LOOK_EVERY_MS = 500;
const FIRST_LOOK_MS = 60;

/**
 * Resolves with the post as soon as nothing of it is about to happen: each publication is settled, held, waits for a retry, or is in its network's
 * processing where acceptance counts as a success; or after `timeoutMs` with the post as it is then.
 * @returns null when the post does not exist
 */
export function createSettled({ find, notifier }: SettledDeps): (postId: string, timeoutMs: number) => Promise<Post | null> {
  return async (postId, timeoutMs) => {
    const deadline = Date.now() + timeoutMs;
    let lookAfterMs = FIRST_LOOK_MS;
    for (;;) {
      let wakeUp: () => void = () => undefined;
      const told = new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
      const unsubscribe = notifier.subscribe(`post:${postId}`, wakeUp);
      const timer = setTimeout(wakeUp, Math.min(lookAfterMs, Math.max(1, deadline - Date.now())));
      try {
        const post = await find(postId);
        if (post === null || isAnswered(post) || Date.now() >= deadline) return post;
        await told;
        lookAfterMs = Math.min(LOOK_EVERY_MS, lookAfterMs * 2);
      } finally {
        clearTimeout(timer);
        unsubscribe();
      }
    }
  };
}

/** A retry that is due in a moment is worth waiting for; one that is due in half a minute is not. */
function isAnswered(post: Post): boolean {
  const soon = Date.now() + 2_000;
  return post.publications.every((p) => {
    // Where acceptance is only a preparation, who asked wants to know of the publication.
    if (p.state === 'processing') return findPlatform(p.platform)?.processing?.announces !== 'published' || isWaitingLong(p, soon);
    if (hasFollowUpsToDo(p)) return p.followUps?.some((step) => step.state === 'held' || isWaitingLong(step, soon)) === true;
    return p.state !== 'sending' && (p.state !== 'pending' || isWaitingLong(p, soon));
  });
}

function isWaitingLong({ state, tries, failure, dueAt }: Step, soon: number): boolean {
  const isAgain = (state === 'pending' && tries > 0) || ((state === 'pending' || state === 'processing') && failure !== null);
  return isAgain && dueAt !== null && dueAt.getTime() > soon;
}
