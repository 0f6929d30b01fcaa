/** Keeps a channel within what its network takes, before a call: counts what was sent, and gives what is too much a later time. */
import { createBatcher } from '../lib/batcher.js';
import type { TurnStore } from './turn-store.js';

/** What a network takes from one account: at most `max` posts in any `windowMs`. */
export interface RateLimit {
  max: number;
  windowMs: number;
}

/** By window in ms: when each post was sent, in slices of the window, as [slice, count]. */
export type SentCounts = Record<string, [number, number][]>;

export interface StoredCounts {
  counts: SentCounts;
  overdueAt: number;
}

export interface Rates {
  /**
   * @param hasWaited true for one that was given a later time before: it doesn't stand behind those that came after it
   * @returns null: it may be sent now and is counted; else the time at which there is room for it
   */
  take(profileId: string, channelId: string, limits: readonly RateLimit[], hasWaited: boolean): Promise<Date | null>;
  /** The call begins only now, after its intent was stored: that is when it counts. */
  began(channelId: string, limits: readonly RateLimit[]): void;
  /** The same for posts whose time is long past: they go out one by one, whoever sends them. */
  takeOverdue(profileId: string, channelId: string, gapMs: number): Promise<Date | null>;
  /** Stores what was counted since the last time. */
  flush(): Promise<void>;
  /** Other workers may count for these profiles from now on. */
  forget(profileIds: readonly string[]): void;
}

interface Counted {
  profileId: string;
  counts: SentCounts;
  /** The time that the last of its late posts was given; 0: none was. */
  overdueAt: number;
  longestMs: number;
  isStored: boolean;
  /** Those that were too much: the last time that was given, and to how many. */
  putOff: { at: number; count: number };
}

const SLICES = 60;

export function createRates({ store, now }: { store: Pick<TurnStore, 'loadCounts' | 'saveCounts'>; now(): Date }): Rates {
  const channels = new Map<string, Counted>();
  const load = createBatcher<string, StoredCounts>(async (ids) => {
    const found = await store.loadCounts(ids);
    return ids.map((id) => found.get(id) ?? { counts: {}, overdueAt: 0 });
  }, { max: 200, concurrent: 2 });

  async function countedOf(profileId: string, channelId: string): Promise<Counted> {
    const known = channels.get(channelId) ?? { profileId, ...(await load(channelId)), longestMs: 0, isStored: true, putOff: { at: 0, count: 0 } };
    // Another may have read it at the same moment: the first one counts.
    const first = channels.get(channelId) ?? known;
    channels.set(channelId, first);
    return first;
  }

  return {
    async take(profileId, channelId, limits, hasWaited) {
      if (limits.length === 0) return null;
      const known = channels.get(channelId) ?? (await countedOf(profileId, channelId));
      known.longestMs = Math.max(known.longestMs, ...limits.map(({ windowMs }) => windowMs));
      const time = now().getTime();
      const room = roomAt(known.counts, limits, time);
      // Those that were put off before come first.
      if (room.at <= time && (hasWaited || known.putOff.at <= time)) {
        count(known.counts, limits, time);
        known.isStored = false;
        return null;
      }
      known.putOff = nextPlace(known.putOff, Math.max(room.at, time + 1), room.limit ?? limits[0]!);
      return new Date(known.putOff.at);
    },

    began(channelId, limits) {
      const known = channels.get(channelId);
      if (known !== undefined) moveLast(known.counts, limits, now().getTime());
    },

    async takeOverdue(profileId, channelId, gapMs) {
      const known = await countedOf(profileId, channelId);
      const time = now().getTime();
      known.overdueAt = Math.max(time, known.overdueAt + gapMs);
      known.isStored = false;
      return known.overdueAt <= time ? null : new Date(known.overdueAt);
    },

    async flush() {
      const unstored = [...channels].filter(([, counted]) => !counted.isStored);
      for (const [, counted] of unstored) counted.isStored = true;
      const time = now().getTime();
      try {
        await store.saveCounts(unstored.map(([channelId, { counts, overdueAt, longestMs }]) => ({ channelId, counts, overdueAt, expireAt: new Date(Math.max(time + longestMs, overdueAt) + 60_000) })));
      } catch (error) {
        for (const [, counted] of unstored) counted.isStored = false;
        throw error;
      }
    },

    forget(profileIds) {
      const gone = new Set(profileIds);
      for (const [id, { profileId }] of channels) if (gone.has(profileId)) channels.delete(id);
    },
  };
}

/** When one more may be sent, and by which limit when that is not now. */
export function roomAt(counts: SentCounts, limits: readonly RateLimit[], time: number): { at: number; limit: RateLimit | null } {
  let latest: { at: number; limit: RateLimit | null } = { at: time, limit: null };
  for (const limit of limits) {
    const width = sliceMs(limit);
    const recent = (counts[limit.windowMs] ?? []).filter(([slice]) => (slice + 1) * width > time - limit.windowMs);
    counts[limit.windowMs] = recent;
    let inWindow = recent.reduce((sum, [, count]) => sum + count, 0);
    for (const [slice, sent] of recent) {
      if (inWindow < limit.max) break;
      inWindow -= sent;
      // Its last one may have been sent at the slice's very end.
      const at = (slice + 1) * width + limit.windowMs;
      if (at > latest.at) latest = { at, limit };
    }
  }
  return latest;
}

/** Counts one that is sent now. */
export function count(counts: SentCounts, limits: readonly RateLimit[], time: number): void {
  for (const limit of limits) {
    const slice = Math.floor(time / sliceMs(limit));
    const slices = (counts[limit.windowMs] ??= []);
    const last = slices.at(-1);
    if (last !== undefined && last[0] >= slice) last[1] += 1;
    else slices.push([slice, 1]);
  }
}

/** The one that was counted last is sent later than it was counted. */
function moveLast(counts: SentCounts, limits: readonly RateLimit[], time: number): void {
  for (const limit of limits) {
    const slices = counts[limit.windowMs];
    const last = slices?.at(-1);
    if (slices === undefined || last === undefined || last[0] >= Math.floor(time / sliceMs(limit))) continue;
    last[1] -= 1;
    if (last[1] === 0) slices.pop();
    count(counts, [limit], time);
  }
}

/** Only as many as the limit takes get the same time; the next ones a window later. */
function nextPlace(last: { at: number; count: number }, at: number, limit: RateLimit): { at: number; count: number } {
  if (at > last.at) return { at, count: 1 };
  return last.count < limit.max ? { at: last.at, count: last.count + 1 } : { at: last.at + limit.windowMs, count: 1 };
}

function sliceMs({ windowMs }: RateLimit): number {
  return Math.max(1, Math.ceil(windowMs / SLICES));
}
