/** Who may call a network now: one call at a time for each channel, in order, so many for each platform, and so many in all. */

export interface Turns {
  /**
   * Waits for the channel's turn and for a free slot.
   * @returns a function that ends the turn, however often it is called; null when the process stops and nothing may begin any more
   */
  take(channelId: string, platform: string): Promise<(() => void) | null>;
  /** Lets go of whoever waits. */
  close(): void;
  /** True once nothing may begin any more. */
  isClosed(): boolean;
}

/**
 * @param slots calls under way at once, over all channels
 * @param slotsOf the same for one platform: one that hangs must leave slots to the others
 */
export function createTurns(slots: number, slotsOf: (platform: string) => number): Turns {
  const channels = new Map<string, Gate>();
  const platforms = new Map<string, Gate>();
  const all = createGate(slots);
  let closed = false;

  function gateOf(gates: Map<string, Gate>, id: string, size: number): Gate {
    const known = gates.get(id);
    if (known !== undefined) return known;
    const made = createGate(size);
    gates.set(id, made);
    return made;
  }

  return {
    async take(channelId, platform) {
      const channel = gateOf(channels, channelId, 1);
      const passed: Gate[] = [];
      const leave = (): void => {
        for (const gate of passed.splice(0).reverse()) gate.leave();
        if (channel.isIdle()) channels.delete(channelId);
      };
      for (const gate of [channel, gateOf(platforms, platform, slotsOf(platform)), all]) {
        const entering = closed ? false : gate.enter();
        if (entering === false || (entering !== true && !(await entering))) {
          leave();
          return null;
        }
        passed.push(gate);
      }
      return leave;
    },
    close() {
      closed = true;
      for (const gate of [...channels.values(), ...platforms.values(), all]) gate.close();
    },
    isClosed: () => closed,
  };
}

interface Gate {
  /** True: in. Otherwise whoever waits learns whether it got in. */
  enter(): true | Promise<boolean>;
  leave(): void;
  /** Sends those who wait away. */
  close(): void;
  isIdle(): boolean;
}

function createGate(size: number): Gate {
  const queue: ((granted: boolean) => void)[] = [];
  let inside = 0;
  return {
    enter() {
      if (inside >= size) return new Promise((resolve) => queue.push(resolve));
      inside += 1;
      return true;
    },
    leave() {
      const next = queue.shift();
      if (next === undefined) inside -= 1;
      else next(true);
    },
    close() {
      for (const waiter of queue.splice(0)) waiter(false);
    },
    isIdle: () => inside === 0,
  };
}
