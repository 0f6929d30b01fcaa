/**
 * Runs commands one after another and commits them in groups: everything that arrived in one turn of the event loop shares one
 * transaction, and is answered when that is committed. Long work goes on in slices, so that others get their turn.
 */
import { beginTurn, turnHasEnded } from './budget.js';
import { statfsSync } from 'node:fs';
import { setImmediate } from 'node:timers';
import { CommandError } from './command-error.js';
import type { Store } from './store.js';
import type { Catalog } from './catalog.js';

interface Task {
  write: boolean;
  /** May be run again from its start after a transaction was thrown away. */
  restartable: boolean;
  run: () => unknown;
  settle: (error: unknown, result: unknown) => void;
}

interface Outcome {
  task: Task;
  error: unknown;
  result: unknown;
}

export interface Executor {
  submit<T>(write: boolean, restartable: boolean, run: () => T | Promise<T>): Promise<T>;
  /** Repeats `step` until it gives something other than undefined; goes on in later turns when it takes long. */
  sliced<T>(write: boolean, step: () => T | undefined): T | Promise<T>;
  /** How many tasks have run: a change means that somebody else is at work. */
  tasksRun(): number;
  /** Runs `work` while no command runs; those that come meanwhile wait. */
  alone(work: () => Promise<void>): Promise<void>;
  /** Resolves when nothing is queued. */
  idle(): Promise<void>;
}

const BATCH_MS = 25;
/** No new step is begun after this; one step takes about as long again at most. */
const SLICE_MS = 8;

const FULL = /no space|ENOSPC|disk full|MDB_MAP_FULL|quota|EDQUOT|EFBIG|file too large/i;
/** LMDB reports a write that found only part of its room as an input/output error. */
const SHORT_WRITE = /input\/output error|EIO/i;
let reportedAt = -Infinity;

/** What a failed write to the disk looks like to a client; said on stderr too, at most every ten seconds. */
function storageFailure(store: Store, error: unknown): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  const full = FULL.test(message) || (SHORT_WRITE.test(message) && freeBytes(store.path) < 1024 * 1024);
  if (performance.now() - reportedAt > 10_000) {
    reportedAt = performance.now();
    process.stderr.write(`embedded-mongodb: a write failed: ${full ? 'the disk is full' : error instanceof Error ? error.stack : message}\n`);
  }
  return full
    ? new CommandError(14031, 'The disk of the database is full: the write was not stored. Free some space and try again.')
    : new CommandError(8, `The write could not be stored: ${message}`);
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

export function createExecutor(store: Store, catalog: Catalog, committed: () => void): Executor {
  const queue: Task[] = [];
  /** What had a turn and wants another. */
  const resumed: Task[] = [];
  let scheduled = false;
  let ran = 0;
  let paused = false;
  let idlers: (() => void)[] = [];

  const waiting = (): boolean => queue.length + resumed.length > 0;

  const schedule = (): void => {
    if (scheduled || paused) return;
    scheduled = true;
    setImmediate(flush);
  };

  const flush = (): void => {
    scheduled = false;
    if (paused) return;
    const outcomes: Outcome[] = [];
    // Of those that take long one goes on, after all that came in: so no client waits for more than one slice of another.
    const long = resumed.shift();
    if (long?.write || queue.some((task) => task.write)) commitTogether(long, outcomes);
    else runSome(long, outcomes, false);
    for (const { task, error, result } of outcomes) task.settle(error, result);
    if (waiting()) schedule();
    else {
      for (const done of idlers) done();
      idlers = [];
    }
  };

  /** Runs queued tasks for a while; an error that isn't a CommandError is passed on as unexpected. */
  const runSome = (long: Task | undefined, outcomes: Outcome[], inTransaction: boolean): void => {
    const until = performance.now() + BATCH_MS;
    for (let task = queue.shift(); task; task = performance.now() < until ? queue.shift() : undefined) runOne(task, inTransaction, outcomes);
    if (long) runOne(long, inTransaction, outcomes);
  };

  const runOne = (task: Task, inTransaction: boolean, outcomes: Outcome[]): void => {
    ran++;
    const outcome: Outcome = { task, error: undefined, result: undefined };
    outcomes.push(outcome);
    try {
      beginTurn();
      outcome.result = task.run();
    } catch (error) {
      outcome.error = error;
      if (!(error instanceof CommandError) && inTransaction) throw error;
    }
  };

  const commitTogether = (long: Task | undefined, outcomes: Outcome[]): void => {
    try {
      store.transaction(() => {
        runSome(long, outcomes, true);
        catalog.saveCounts();
      });
      committed();
    } catch (error) {
      catalog.reload();
      if (outcomes.length === 1) fail(outcomes[0]!, error);
      else for (const outcome of outcomes) runAlone(outcome, error);
    }
  };

  const fail = (outcome: Outcome, error: unknown): void => {
    if (outcome.result instanceof Promise) outcome.result.catch(() => undefined);
    outcome.result = undefined;
    outcome.error = error instanceof CommandError ? error : outcome.task.write ? storageFailure(store, error) : error;
  };

  /** After a shared transaction was thrown away, each of its commands gets one of its own. */
  const runAlone = (outcome: Outcome, cause: unknown): void => {
    const begun = outcome.result instanceof Promise;
    if (begun) (outcome.result as Promise<unknown>).catch(() => undefined);
    if (begun || !outcome.task.restartable) return fail(outcome, cause);
    outcome.error = undefined;
    try {
      outcome.result = store.transaction(() => {
        const result = outcome.task.run();
        catalog.saveCounts();
        return { result };
      }).result;
      committed();
    } catch (error) {
      catalog.reload();
      fail(outcome, error);
    }
  };

  const enqueue = <T>(list: Task[], write: boolean, restartable: boolean, run: () => T | Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      list.push({
        write,
        restartable,
        run,
        settle: (error, result) => (error === undefined ? resolve(result as T) : reject(error)),
      });
      schedule();
    });

  const submit: Executor['submit'] = (write, restartable, run) => enqueue(queue, write, restartable, run);

  const sliced = <T>(write: boolean, step: () => T | undefined): T | Promise<T> => {
    turnHasEnded();
    const until = performance.now() + SLICE_MS;
    do {
      const result = step();
      if (result !== undefined) return result;
    } while (performance.now() < until && !turnHasEnded());
    return enqueue(resumed, write, false, () => sliced(write, step));
  };

  const alone = async (work: () => Promise<void>): Promise<void> => {
    if (paused) return;
    paused = true;
    try {
      await work();
    } finally {
      paused = false;
      if (waiting()) schedule();
    }
  };

  return { submit, sliced, alone, tasksRun: () => ran, idle: () => (!waiting() && !scheduled ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))) };
}
