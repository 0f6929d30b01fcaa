/** Sorts any number of items without ever holding the server for long: in runs as they come, which are merged as they are taken. */

export interface Sorter<T> {
  add(item: T): void;
  /** The items in order; nothing may be added any more. */
  sorted(): Generator<T>;
}

const RUN = 4096;

/** A stable sort of what is added; when `keep` is small, only that many of the first items are held. */
export function createSorter<T>(compare: (a: T, b: T) => number, keep = Infinity): Sorter<T> {
  const runs: T[][] = [];
  let current: T[] = [];
  const few = keep < RUN;
  return {
    add: (item) => {
      current.push(item);
      if (current.length < (few ? keep : 0) + RUN) return;
      current.sort(compare);
      if (few) current.length = keep;
      else {
        runs.push(current);
        current = [];
      }
    },
    sorted: () => {
      current.sort(compare);
      return runs.length === 0 ? each(current) : merge([...runs, current], compare);
    },
  };
}

function* each<T>(items: readonly T[]): Generator<T> {
  for (const item of items) yield item;
}

interface Head<T> {
  run: readonly T[];
  at: number;
  /** Earlier runs come first among equals. */
  order: number;
}

function* merge<T>(runs: readonly T[][], compare: (a: T, b: T) => number): Generator<T> {
  const heap: Head<T>[] = runs.filter((run) => run.length > 0).map((run, order) => ({ run, at: 0, order }));
  const before = (a: Head<T>, b: Head<T>): boolean => (compare(a.run[a.at]!, b.run[b.at]!) || a.order - b.order) < 0;
  const sink = (from: number): void => {
    for (let at = from; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  };
  for (let i = heap.length >> 1; i >= 0; i--) sink(i);
  while (heap.length > 0) {
    const head = heap[0]!;
    yield head.run[head.at++]!;
    if (head.at === head.run.length) {
      const last = heap.pop()!;
      if (heap.length > 0 && last !== head) heap[0] = last;
    }
    sink(0);
  }
}
