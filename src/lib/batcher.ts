/** Natural batching: while a round trip is under way, what is asked for meanwhile gathers and travels together. */

export interface BatcherOptions {
  /** Most items of one round trip. */
  max: number;
  /** Round trips under way at once: more than one gives the other side work while we prepare the next, few keep batches large. */
  concurrent: number;
}

const TOLD_AT_ONCE = 8;

/**
 * @param run answers a batch, one answer for each item in order; an answer that is an Error rejects that item alone
 * @returns a function that adds one item; an idle batcher runs it at once
 */
export function createBatcher<T, R>(run: (items: T[]) => Promise<(R | Error)[]>, { max, concurrent }: BatcherOptions): (item: T) => Promise<R> {
  let waiting: { item: T; resolve: (answer: R) => void; reject: (error: unknown) => void }[] = [];
  let running = 0;

  /** A few in one go: all that they do next would keep timers and answers of others waiting. */
  function tell(batch: typeof waiting, answers: (R | Error)[], from: number): void {
    const until = Math.min(from + TOLD_AT_ONCE, batch.length);
    for (let i = from; i < until; i++) {
      const answer = answers[i];
      if (answer instanceof Error) batch[i]!.reject(answer);
      else batch[i]!.resolve(answer as R);
    }
    if (until < batch.length) setImmediate(() => tell(batch, answers, until));
  }

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, max);
      waiting = waiting.slice(max);
      try {
        tell(batch, await run(batch.map(({ item }) => item)), 0);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running -= 1;
  }

  return (item) => new Promise((resolve, reject) => {
    waiting.push({ item, resolve, reject });
    if (running === concurrent) return;
    running += 1;
    setImmediate(() => void work());
  });
}

/**
 * Lets callers that ask for the same thing at the same time share one answer. A caller never gets an answer whose question was asked before it
 * came, so what was written before a call is always seen by it.
 */
export function createSharedLookUp<V>(load: (key: string) => Promise<V>): (key: string) => Promise<V> {
  const underWay = new Map<string, Promise<V>>();
  const gathering = new Map<string, Promise<V>>();

  function begin(key: string): Promise<V> {
    gathering.delete(key);
    const answer = load(key).finally(() => {
      if (underWay.get(key) === answer) underWay.delete(key);
    });
    underWay.set(key, answer);
    return answer;
  }

  return (key) => {
    const shared = gathering.get(key);
    if (shared !== undefined) return shared;
    const before = underWay.get(key)?.catch(() => undefined) ?? Promise.resolve();
    // Requests that arrived in one go are handled one after the other: let all of them come in first.
    const asked = before.then(() => new Promise((resolve) => setImmediate(resolve))).then(() => begin(key));
    gathering.set(key, asked);
    return asked;
  };
}
