/** What waits for its moment: one timer for all of it, so that it begins in the order of its times and nothing too early. */

export interface Moments<T> {
  add(item: T, at: Date): void;
  /** True while something waits that comes before one of that time. */
  isAheadOf(at: Date): boolean;
  /** In the order of their times. */
  items(): T[];
  count(): number;
  /** Lets go of those that wait. @returns them */
  clear(): T[];
}

/** Begun in one go of a herd: what these ask of the database is on its way while the next ones begin. */
const AT_ONCE = 100;
/** Fewer at first: the first calls wait for the answer to these alone. */
const AT_FIRST = 30;

/** @param begin called for each when its moment has come */
export function createMoments<T>({ begin, now }: { begin(item: T): void; now(): Date }): Moments<T> {
  let waiting: { item: T; at: number }[] = [];
  /** How many of them, from the first, have begun: taking each off the front would move all the rest. */
  let begun = 0;
  let timer: NodeJS.Timeout | null = null;
  let timerFor = Infinity;
  let isUnderWay = false;

  function arm(): void {
    const next = waiting[begun]?.at ?? Infinity;
    if (next === timerFor) return;
    if (timer !== null) clearTimeout(timer);
    timerFor = next;
    timer = next === Infinity ? null : setTimeout(ring, Math.max(1, next - now().getTime()));
  }

  function ring(): void {
    timer = null;
    timerFor = Infinity;
    const time = now().getTime();
    const isNext = (): boolean => (waiting[begun]?.at ?? Infinity) <= time;
    for (let left = isUnderWay ? AT_ONCE : AT_FIRST; left > 0 && isNext(); left--) begin(waiting[begun++]!.item);
    isUnderWay = isNext();
    if (begun > 1_000 || begun === waiting.length) forgetBegun();
    arm();
  }

  function forgetBegun(): void {
    waiting = waiting.slice(begun);
    begun = 0;
  }

  /** Claims come in the order of their times, so that nearly always this is the end. */
  function placeOf(at: number): number {
    let place = waiting.length;
    while (place > begun && waiting[place - 1]!.at > at) place -= 1;
    return place;
  }

  return {
    add(item, at) {
      waiting.splice(placeOf(at.getTime()), 0, { item, at: at.getTime() });
      arm();
    },
    isAheadOf: (at) => (waiting[begun]?.at ?? Infinity) <= at.getTime(),
    items: () => waiting.slice(begun).map(({ item }) => item),
    count: () => waiting.length - begun,
    clear() {
      forgetBegun();
      const items = waiting.map(({ item }) => item);
      waiting = [];
      arm();
      return items;
    },
  };
}
