/**
 * Which profiles' posts this worker works on. A profile belongs to one worker at a time, so that the posts of a channel keep their order and its
 * limits are counted in one place; a post has one profile, so no worker ever waits for two turns.
 */
import type { TurnStore } from './turn-store.js';

export interface ProfileTurns {
  /** @returns those of the profiles whose posts may be claimed here */
  take(profileIds: string[]): Promise<Set<string>>;
  /** Profiles whose posts are not to be claimed here just now: other workers', and those of which enough is in hand. */
  excluded(): string[];
  /** True while any profile is this worker's: new posts of it wait for this worker alone, so it has to look for them. */
  hasAny(): boolean;
  /** A post of the profile is in hand, or done with. */
  enter(profileId: string): void;
  /** @returns true when there is room for more of its posts again */
  leave(profileId: string): boolean;
  /** Asks again where the turn may have run out. */
  isOurs(profileId: string): boolean | Promise<boolean>;
  renew(): Promise<void>;
  /** Lets go of profiles that had nothing to do for a while. @param before runs for them first */
  releaseIdle(before: (profileIds: string[]) => Promise<void>): Promise<void>;
  releaseAll(): Promise<void>;
}

interface Deps {
  store: TurnStore;
  owner: string;
  now(): Date;
}

const TURN_MS = 90_000;
/** Not trusted any more when it ends within this time: clocks may differ by 2 s, and a call has to be begun. */
const MARGIN_MS = 15_000;
/** Another worker's profile is asked for again after this time. */
const LEAVE_ALONE_MS = 1_000;
const IDLE_MS = 1_000;
/** More of one profile's posts would only wait in memory, and keep others' out. */
const MOST_IN_HAND = 300;

export function createProfileTurns({ store, owner, now }: Deps): ProfileTurns {
  const ours = new Map<string, { until: number; inHand: number; usedAt: number }>();
  const others = new Map<string, number>();
  /** Acquiring and releasing take turns, so that an old release never undoes a new acquisition. */
  let last: Promise<unknown> = Promise.resolve();

  function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  }

  function acquire(profileIds: string[]): Promise<void> {
    return oneAtATime(async () => {
      const time = now().getTime();
      const mine = await store.acquire(profileIds, owner, new Date(time), new Date(time + TURN_MS));
      for (const id of profileIds) {
        const known = ours.get(id);
        if (mine.has(id)) {
          ours.set(id, { until: time + TURN_MS, inHand: known?.inHand ?? 0, usedAt: time });
          others.delete(id);
        } else {
          // What is in hand of it is given back when its turn is asked for.
          if (known !== undefined) known.until = 0;
          others.set(id, time + LEAVE_ALONE_MS);
        }
      }
    });
  }

  function isSafe(profileId: string): boolean {
    return (ours.get(profileId)?.until ?? 0) - now().getTime() > MARGIN_MS;
  }

  return {
    async take(profileIds) {
      const unsure = profileIds.filter((id) => !isSafe(id));
      if (unsure.length > 0) await acquire(unsure);
      const time = now().getTime();
      const taken = profileIds.filter(isSafe);
      for (const id of taken) ours.get(id)!.usedAt = time;
      return new Set(taken);
    },

    excluded() {
      const time = now().getTime();
      for (const [id, until] of others) if (until <= time) others.delete(id);
      return [...others.keys(), ...[...ours].filter(([, { inHand }]) => inHand >= MOST_IN_HAND).map(([id]) => id)];
    },

    hasAny: () => ours.size > 0,

    enter(profileId) {
      const turn = ours.get(profileId);
      if (turn === undefined) ours.set(profileId, { until: 0, inHand: 1, usedAt: now().getTime() });
      else turn.inHand += 1;
    },

    leave(profileId) {
      const turn = ours.get(profileId);
      if (turn === undefined) return false;
      turn.inHand -= 1;
      turn.usedAt = now().getTime();
      return turn.inHand === MOST_IN_HAND / 2;
    },

    isOurs: (profileId) => isSafe(profileId) || acquire([profileId]).then(() => isSafe(profileId)),

    async renew() {
      const active = [...ours].filter(([, { until }]) => until > 0).map(([id]) => id);
      if (active.length > 0) await acquire(active);
    },

    releaseIdle: (before) => oneAtATime(async () => {
      const time = now().getTime();
      const idle = [...ours].filter(([, turn]) => turn.inHand === 0 && time - turn.usedAt > IDLE_MS).map(([id]) => id);
      if (idle.length === 0) return;
      await before(idle);
      for (const id of idle) ours.delete(id);
      await store.release(idle, owner);
    }),

    releaseAll: () => oneAtATime(async () => {
      const all = [...ours.keys()];
      ours.clear();
      await store.release(all, owner);
    }),
  };
}
