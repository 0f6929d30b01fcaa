/**
 * Runs commands one after another and commits them in groups: all that writes and arrived in one turn of the event loop shares one
 * transaction, and is answered when that is committed. What reads comes after it, so that no write that fails takes it along. Long work
 * goes on in slices, so that others get their turn.
 */
import { beginTurn, turnHasEnded } from './budget.js';
import { setImmediate } from 'node:timers';
import { CommandError } from './command-error.js';
import type { Store } from './store.js';
import { storageFailure } from './storage-failure.js';
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
  /** The turn that the task wants next. */
  next: Task | undefined;
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

/** For those that write, and again for those that read. */
const BATCH_MS = 15;
/** No new step is begun after this; one step takes about as long again at most. */
const SLICE_MS = 8;

export function createExecutor(store: Store, catalog: Catalog, committed: () => void): Executor {
  const writes: Task[] = [];
  const reads: Task[] = [];
  /** What had a turn and wants another. */
  const resumed: Task[] = [];
  let scheduled = false;
  let ran = 0;
  let paused = false;
  let idlers: (() => void)[] = [];

  const waiting = (): boolean => writes.length + reads.length + resumed.length > 0;

  const schedule = (): void => {
    if (scheduled || paused) return;
    scheduled = true;
    setImmediate(flush);
  };

  const flush = (): void => {
    scheduled = false;
    if (paused) return;
    // Of those that take long one goes on, after all that came in: so no client waits for more than one slice of another.
    const long = resumed.shift();
    if (writes.length > 0 || long?.write) commitTogether(long?.write ? long : undefined);
    runSome(reads, long?.write ? undefined : long, settle);
    if (waiting()) schedule();
    else {
      for (const done of idlers) done();
      idlers = [];
    }
  };

  const settle = ({ task, error, result }: Outcome): void => task.settle(error, result);

  /** Runs queued tasks for a while, and a turn of a long one. */
  const runSome = (queue: Task[], long: Task | undefined, done: (outcome: Outcome) => void): void => {
    const until = performance.now() + BATCH_MS;
    for (let task = queue.shift(); task; task = performance.now() < until ? queue.shift() : undefined) done(runOne(task));
    if (long) done(runOne(long));
  };

  const runOne = (task: Task): Outcome => {
    ran++;
    const outcome: Outcome = { task, error: undefined, result: undefined, next: undefined };
    const others = resumed.length;
    try {
      beginTurn();
      outcome.result = task.run();
    } catch (error) {
      outcome.error = error;
    }
    outcome.next = resumed[others];
    return outcome;
  };

  const commitTogether = (long: Task | undefined): void => {
    const outcomes: Outcome[] = [];
    try {
      store.transaction(() => {
        runSome(writes, long, (outcome) => {
          outcomes.push(outcome);
          if (outcome.error !== undefined && !(outcome.error instanceof CommandError)) throw outcome.error;
        });
        catalog.saveCounts();
      });
      committed();
    } catch (error) {
      catalog.reload();
      if (outcomes.length === 1) fail(outcomes[0]!, error);
      else for (const outcome of outcomes) runAlone(outcome, error);
    }
    outcomes.forEach(settle);
  };

  /** What was done is thrown away, and so is the turn that was to follow it. */
  const fail = (outcome: Outcome, error: unknown): void => {
    if (outcome.result instanceof Promise) outcome.result.catch(() => undefined);
    outcome.result = undefined;
    outcome.error = error instanceof CommandError ? error : storageFailure(store.path, error);
    if (!outcome.next) return;
    resumed.splice(resumed.indexOf(outcome.next), 1);
    outcome.next.settle(outcome.error, undefined);
  };

  /** After a shared transaction was thrown away, each of its commands gets one of its own. */
  const runAlone = (outcome: Outcome, cause: unknown): void => {
    if (outcome.result instanceof Promise || !outcome.task.restartable) return fail(outcome, cause);
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

  const submit: Executor['submit'] = (write, restartable, run) => enqueue(write ? writes : reads, write, restartable, run);

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
