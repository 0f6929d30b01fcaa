/** Agenda as the clock: wake-ups are one-time jobs with a unique key, sweeps are timers of this process. */
import { Agenda } from 'agenda';
import { MongoBackend } from '@agendajs/mongo-backend';
import { MongoServerError, type Db } from 'mongodb';
import { DUPLICATE_KEY, type CollectionIndexes } from '../db/database.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Jobs } from './jobs.js';

const COLLECTION = 'wakeups';
/** All wake-ups are Agenda jobs of one name, because Agenda asks the database for each name by itself, every second. */
const JOB = 'wake-up';
/** Agenda looks this often; a job due sooner than that is locked ahead and started by a timer on its millisecond. */
const PROCESS_EVERY_MS = 1_000;
/** A wake-up only claims; one that takes longer than this died, and running twice does no harm. Agenda keeps a timer of half of it after each job. */
const LOCK_LIFETIME_MS = 15_000;

/** Agenda's `unique()` is an upsert without an index, so two processes could both insert: this index settles it. */
export const wakeupIndexes: CollectionIndexes[] = [
  {
    collection: COLLECTION,
    indexes: [{
      key: { name: 1, 'data.key': 1, 'data.second': 1 },
      name: 'one_wakeup_per_key_and_second',
      unique: true,
      partialFilterExpression: { 'data.key': { $exists: true } },
    }],
  },
];

export interface JobsDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  /** False: wake-ups asked for here are taken by other processes; sweeps run all the same. */
  takesWakeUps?: boolean;
}

export function createAgendaJobs({ db, clock, log, takesWakeUps = true }: JobsDeps): Jobs {
  // Agenda stops taking jobs for good when the per-name concurrencies sum up to more than maxConcurrency under a backlog.
  const agenda = new Agenda({
    backend: new MongoBackend({ mongo: db, collection: COLLECTION }),
    processEvery: PROCESS_EVERY_MS,
    maxConcurrency: 50,
    defaultConcurrency: 20,
    defaultLockLimit: 20,
    defaultLockLifetime: LOCK_LIFETIME_MS,
    removeOnComplete: true,
  });
  agenda.on('error', (error: Error) => log.error({ err: error }, 'agenda failed; the sweeps go on'));
  // A failed connection is told by the error event; nobody else awaits `ready`.
  agenda.ready.catch(() => undefined);
  const handlers = new Map<string, (key: string) => Promise<void>>();
  const sweeps: { name: string; intervalMs: number; handler: () => Promise<void> }[] = [];
  const running = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  const asked = new Map<string, number>();
  let stopping = false;

  // oxlint-disable-next-line typescript/no-misused-promises -- Agenda's other overload takes callbacks; this one awaits the promise
  agenda.define<{ key: string }>(JOB, (job) => {
    const [, name = '', key = ''] = /^([^:]*):(.*)$/s.exec(job.attrs.data.key) ?? [];
    return guarded(name, async () => handlers.get(name)?.(key), log);
  });

  function sweepSoon(sweep: (typeof sweeps)[number], delayMs: number): void {
    if (stopping) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      const run = guarded(sweep.name, sweep.handler, log).then(() => {
        running.delete(run);
        sweepSoon(sweep, untilNext(sweep.intervalMs));
      });
      running.add(run);
    }, delayMs);
    timers.add(timer);
  }

  return {
    handle(name, handler) {
      handlers.set(name, handler);
    },

    async wakeAt(name, key, at) {
      const second = Math.ceil(at.getTime() / 1000);
      const whole = `${name}:${key}`;
      const token = `${whole}|${second}`;
      if (asked.has(token)) return;
      forgetPast(asked, Math.floor(clock.now().getTime() / 1000));
      asked.set(token, second);
      try {
        const unique = { 'data.key': whole, 'data.second': second };
        await agenda.create(JOB, { key: whole, second }).unique(unique, { insertOnly: true }).schedule(at).save();
      } catch (error) {
        if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return;
        asked.delete(token);
        throw error;
      }
    },

    sweep(name, intervalMs, handler) {
      sweeps.push({ name, intervalMs, handler });
    },

    async start() {
      // What an older version asked for has other names; the sweeps ask for it again.
      await db.collection(COLLECTION).deleteMany({ name: { $ne: JOB } });
      if (takesWakeUps) await agenda.start();
      for (const sweep of sweeps) sweepSoon(sweep, 0);
    },

    async stop() {
      stopping = true;
      for (const timer of timers) clearTimeout(timer);
      // drain() leaves jobs that were locked ahead locked; stop() unlocks them for the next start.
      await agenda.stop(false);
      await Promise.all(running);
    },
  };
}

/** To the next of the times that are `intervalMs` apart since the process began: its sweeps come together, which costs less than each by itself, and those of other processes at other times. */
function untilNext(intervalMs: number): number {
  const delayMs = intervalMs - (performance.now() % intervalMs);
  return delayMs < intervalMs / 2 ? delayMs + intervalMs : delayMs;
}

/** A failed wake-up is logged and forgotten: the sweep finds what it left, and Agenda keeps no dead job. */
async function guarded(name: string, handler: () => Promise<void>, log: Logger): Promise<void> {
  try {
    await handler();
  } catch (error) {
    log.error({ err: error, job: name }, 'a wake-up failed; the sweep will find what it left');
  }
}

function forgetPast(asked: Map<string, number>, nowSecond: number): void {
  if (asked.size < 1_000) return;
  for (const [token, second] of asked) if (second <= nowSecond) asked.delete(token);
}
