/** The clock as an argument, so that rules about time can be tried at any time. */

export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };
