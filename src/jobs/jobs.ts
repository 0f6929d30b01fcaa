/** What domains ask of the clock: wake-ups by name and key, and recurring sweeps. */

export interface Jobs {
  /**
   * Says what a wake-up of this name does; call before `start`. A handler is a door: a key in, one use case.
   * It may run twice, late, or in two processes at once: the documents decide what is really due.
   */
  handle(name: string, handler: (key: string) => Promise<void>): void;
  /** Asks for one wake-up per name and key, at the earliest of the times asked for. */
  wakeAt(name: string, key: string, at: Date): Promise<void>;
  /** A sweep of this process, every `intervalMs` after the last one ended, and once at the start. */
  sweep(name: string, intervalMs: number, handler: () => Promise<void>): void;
  start(): Promise<void>;
  /** Stops taking wake-ups and waits for those that run. */
  stop(): Promise<void>;
}
