/** Who may call a network now: one call at a time for each channel, in order, and so many in all. */

export interface Turns {
  /**
   * Waits for the channel's turn and for a free slot.
   * @returns a function that ends the turn, however often it is called; null when the process stops and nothing may begin any more
   */
  take(channelId: string): Promise<(() => void) | null>;
  /** Lets go of whoever waits. */
  close(): void;
  /** True once nothing may begin any more. */
  isClosed(): boolean;
}

/** @param slots calls under way at once, over all channels */
export function createTurns(slots: number): Turns {
  const queues = new Map<string, ((granted: boolean) => void)[]>();
  const forSlot: ((granted: boolean) => void)[] = [];
  let free = slots;
  let closed = false;

  function channelTurn(channelId: string): Promise<boolean> {
    const queue = queues.get(channelId);
    if (queue === undefined) {
      queues.set(channelId, []);
      return Promise.resolve(true);
    }
    return new Promise((resolve) => queue.push(resolve));
  }

  function slot(): Promise<boolean> {
    if (free > 0) {
      free -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => forSlot.push(resolve));
  }

  function endChannelTurn(channelId: string): void {
    const next = queues.get(channelId)?.shift();
    if (next === undefined) queues.delete(channelId);
    else next(true);
  }

  function endSlot(): void {
    const next = forSlot.shift();
    if (next === undefined) free += 1;
    else next(true);
  }

  return {
    async take(channelId) {
      if (closed || !(await channelTurn(channelId))) return null;
      if (closed || !(await slot())) {
        endChannelTurn(channelId);
        return null;
      }
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        endSlot();
        endChannelTurn(channelId);
      };
    },
    close() {
      closed = true;
      for (const queue of queues.values()) for (const waiter of queue.splice(0)) waiter(false);
      for (const waiter of forSlot.splice(0)) waiter(false);
    },
    isClosed: () => closed,
  };
}
