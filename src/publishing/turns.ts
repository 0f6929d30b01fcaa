/** Who may call a network now: one call at a time for each channel, in order, so many for each platform, and so many in all. */
import { createGate, type Gate } from './gate.js';

export interface Turn {
  /** Waits for a free slot. To be asked after the intent was stored, so that no slot is idle while the database writes. */
  toCall(): Promise<void>;
  /** However often it is called. */
  end(): void;
}

export interface Turns {
  /**
   * Waits for the channel's turn, and until it is near the head of its platform.
   * @returns null when the process stops and nothing may begin any more
   */
  take(channelId: string, platform: string): Promise<Turn | null>;
  /** Lets go of whoever waits to begin; those that have begun still get their slot. */
  close(): void;
  /** True once nothing may begin any more. */
  isClosed(): boolean;
}

/**
 * @param slots calls under way at once, over all channels
 * @param slotsOf the same for one platform: one that hangs must leave slots to the others
 */
export function createTurns(slots: number, slotsOf: (platform: string) => number, ticks = (): number => performance.now()): Turns {
  const channels = new Map<string, Gate>();
  const platforms = new Map<string, Stages>();
  const all = createStages(slots, ticks);
  let closed = false;

  function channelOf(id: string): Gate {
    const known = channels.get(id);
    if (known !== undefined) return known;
    const made = createGate(() => 1, ticks);
    channels.set(id, made);
    return made;
  }

  function platformOf(id: string): Stages {
    const known = platforms.get(id);
    if (known !== undefined) return known;
    const made = createStages(slotsOf(id), ticks);
    platforms.set(id, made);
    return made;
  }

  return {
    async take(channelId, platformId) {
      const channel = channelOf(channelId);
      const platform = platformOf(platformId);
      const passed: Gate[] = [];
      const end = (): void => {
        for (const gate of passed.splice(0).reverse()) gate.leave();
        // Ended again, it may find the gate of others here.
        if (channel.isIdle() && channels.get(channelId) === channel) channels.delete(channelId);
      };
      for (const gate of [channel, platform.begun, all.begun]) {
        const entering = closed ? false : gate.enter();
        if (entering === false || (entering !== true && !(await entering))) {
          end();
          return null;
        }
        passed.push(gate);
      }
      let calls = false;
      return {
        end,
        async toCall() {
          if (calls) return;
          calls = true;
          for (const gate of [platform.calling, all.calling]) {
            const entering = gate.enter();
            if (entering !== true) await entering;
            passed.push(gate);
          }
        },
      };
    },
    close() {
      closed = true;
      for (const gate of [...channels.values(), ...[...platforms.values(), all].map(({ begun }) => begun)]) gate.close();
    },
    isClosed: () => closed,
  };
}

interface Stages {
  begun: Gate;
  calling: Gate;
}

/**
 * Beside those that have a slot, only so many begin (which stores their intent) as will get one in a moment by the pace of late: what waits there
 * when the process dies is in doubt, so where calls hang, nothing waits there.
 */
function createStages(slots: number, ticks: () => number): Stages {
  const calling = createGate(() => slots, ticks);
  return { calling, begun: createGate(() => slots + calling.pace(), ticks) };
}
