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
   * Waits for the channel's turn, and until it is near the head of its platform. In a herd nearly all wait here: it takes no more memory than a place in a queue.
   * @param told is called at once where nobody is in the way; null: the process stops and nothing may begin any more
   */
  ask(channelId: string, platform: string, told: (turn: Turn | null) => void): void;
  /** The same as a promise. */
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
  /** Who waits for each channel that is taken. Most wait here: for them nothing else is made yet. */
  const channels = new Map<string, Asking[]>();
  const platforms = new Map<string, Stages>();
  const all = createStages(slots, ticks);
  let closed = false;

  function platformOf(id: string): Stages {
    const known = platforms.get(id);
    if (known !== undefined) return known;
    const made = createStages(slotsOf(id), ticks);
    platforms.set(id, made);
    return made;
  }

  function ask(channelId: string, platformId: string, told: (turn: Turn | null) => void): void {
    if (closed) return told(null);
    const asking = { channelId, platformId, told };
    const before = channels.get(channelId);
    if (before !== undefined) {
      before.push(asking);
      return;
    }
    channels.set(channelId, []);
    enter(asking);
  }

  function leaveChannel(channelId: string): void {
    const next = channels.get(channelId)?.shift();
    if (next === undefined) channels.delete(channelId);
    else enter(next);
  }

  /** It has its channel: now its platform, and room among all. */
  function enter({ channelId, platformId, told }: Asking): void {
    const platform = platformOf(platformId);
    const toBegin = [platform.begun, all.begun];
    const passed: Gate[] = [];
    let hasChannel = true;
    const end = (): void => {
      for (const gate of passed.splice(0).reverse()) gate.leave();
      if (!hasChannel) return;
      hasChannel = false;
      leaveChannel(channelId);
    };
    const next = (): void => {
      while (passed.length < toBegin.length) {
        const gate = toBegin[passed.length]!;
        if (closed) return entered(false);
        if (!gate.enter(entered)) return;
        passed.push(gate);
      }
      told(turnOf(platform, all, passed, end));
    };
    const entered = (isIn: boolean): void => {
      if (isIn) {
        passed.push(toBegin[passed.length]!);
        return next();
      }
      end();
      told(null);
    };
    next();
  }

  return {
    ask,
    take: (channelId, platformId) => new Promise((resolve) => ask(channelId, platformId, resolve)),
    close() {
      closed = true;
      for (const waiting of channels.values()) for (const { told } of waiting.splice(0)) told(null);
      for (const { begun } of [...platforms.values(), all]) begun.close();
    },
    isClosed: () => closed,
  };
}

interface Asking {
  channelId: string;
  platformId: string;
  told(turn: Turn | null): void;
}

function turnOf(platform: Stages, all: Stages, passed: Gate[], end: () => void): Turn {
  let calls = false;
  return {
    end,
    async toCall() {
      if (calls) return;
      calls = true;
      for (const gate of [platform.calling, all.calling]) {
        if (!gate.enterNow()) await new Promise<boolean>((resolve) => void gate.enter(resolve));
        passed.push(gate);
      }
    },
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
