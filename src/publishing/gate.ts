/** Lets so many in at once, the others in the order in which they came. */

export interface Gate {
  /** @returns true: in. Otherwise it waits, and `told` says later whether it got in. */
  enter(told: (isIn: boolean) => void): boolean;
  /** @returns false: there is no room, or others wait */
  enterNow(): boolean;
  leave(): void;
  /** How many left within the last moments: 50 to 100 ms. */
  pace(): number;
  /** Sends those who wait away. */
  close(): void;
}

const WINDOW_MS = 50;

/**
 * @param size may change; whoever leaves lets in as many as fit by then
 * @param ticks ms of a clock that nobody sets
 */
export function createGate(size: () => number, ticks: () => number): Gate {
  const queue: ((isIn: boolean) => void)[] = [];
  let inside = 0;
  let window = 0;
  let leftNow = 0;
  let leftBefore = 0;

  function turnWindow(): void {
    const current = Math.floor(ticks() / WINDOW_MS);
    if (current === window) return;
    leftBefore = current === window + 1 ? leftNow : 0;
    leftNow = 0;
    window = current;
  }

  function enterNow(): boolean {
    if (queue.length > 0 || inside >= size()) return false;
    inside += 1;
    return true;
  }

  return {
    enterNow,
    enter(told) {
      if (enterNow()) return true;
      queue.push(told);
      return false;
    },
    leave() {
      turnWindow();
      leftNow += 1;
      inside -= 1;
      while (queue.length > 0 && inside < size()) {
        inside += 1;
        queue.shift()!(true);
      }
    },
    pace() {
      turnWindow();
      return leftNow + leftBefore;
    },
    close() {
      for (const waiter of queue.splice(0)) waiter(false);
    },
  };
}
