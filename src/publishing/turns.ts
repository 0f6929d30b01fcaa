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
  const platforms = new Map<string, Gates>();
  const all = createStages(slots, ticks);
  let closed = false;

  function gatesOf(platformId: string): Gates {
    const known = platforms.get(platformId);
    if (known !== undefined) return known;
    const { begun, calling } = createStages(slotsOf(platformId), ticks);
    const made: Gates = [begun, all.begun, calling, all.calling];
    platforms.set(platformId, made);
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
  function enter(asking: Asking): void {
    goOn(new Place(asking, gatesOf(asking.platformId), leaveChannel));
  }

  function goOn(place: Place): void {
    while (place.hasToBegin()) {
      if (closed) return sendAway(place);
      if (place.enterNow()) continue;
      place.waitFor((isIn) => (isIn ? goOn(place) : sendAway(place)));
      return;
    }
    place.asking.told(place);
  }

  function sendAway(place: Place): void {
    place.end();
    place.asking.told(null);
  }

  return {
    ask,
    take: (channelId, platformId) => new Promise((resolve) => ask(channelId, platformId, resolve)),
    close() {
      closed = true;
      for (const waiting of channels.values()) for (const { told } of waiting.splice(0)) told(null);
      for (const [begun] of platforms.values()) begun.close();
      all.begun.close();
    },
    isClosed: () => closed,
  };
}

interface Asking {
  channelId: string;
  platformId: string;
  told(turn: Turn | null): void;
}

/** What a place has to pass, in this order: two to begin (its platform's and that of all), and two to call. */
type Gates = readonly [Gate, Gate, Gate, Gate];
const TO_BEGIN = 2;
const NOW = Promise.resolve();

/** A class because of a herd: hundreds wait in one at once, and what each takes is copied whenever V8 makes room. */
class Place implements Turn {
  readonly asking: Asking;
  private readonly gates: Gates;
  private readonly leaveChannel: (channelId: string) => void;
  /** How many of the gates, from the first, it is in. */
  private passed = 0;
  private hasChannel = true;
  private calls = false;

  constructor(asking: Asking, gates: Gates, leaveChannel: (channelId: string) => void) {
    this.asking = asking;
    this.gates = gates;
    this.leaveChannel = leaveChannel;
  }

  hasToBegin(): boolean {
    return this.passed < TO_BEGIN;
  }

  /** @returns false: there is no room at the next gate */
  enterNow(): boolean {
    if (!this.gates[this.passed]!.enterNow()) return false;
    this.passed += 1;
    return true;
  }

  waitFor(told: (isIn: boolean) => void): void {
    this.gates[this.passed]!.enter((isIn) => {
      if (isIn) this.passed += 1;
      told(isIn);
    });
  }

  toCall(): Promise<void> {
    if (this.calls) return NOW;
    this.calls = true;
    return this.passAll();
  }

  private passAll(): Promise<void> {
    while (this.passed < this.gates.length) {
      if (!this.enterNow()) return new Promise<boolean>((resolve) => this.waitFor(resolve)).then(() => this.passAll());
    }
    return NOW;
  }

  end(): void {
    while (this.passed > 0) {
      this.passed -= 1;
      this.gates[this.passed]!.leave();
    }
    if (!this.hasChannel) return;
    this.hasChannel = false;
    this.leaveChannel(this.asking.channelId);
  }
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
