/** Documents on their way through a pipeline: pulled one by one, with pauses (null) where others may have their turn. */
import type { Doc } from './bson-decode.js';

export type Flow = Iterable<Doc | null>;

/** One stage: from the documents that come in to those that go out. */
export type Stage = (input: Flow) => Flow;

/** When the present turn of the command ends (performance.now()); set before each pull. */
export interface Turn {
  until: number;
}

const CHECK_EVERY = 16;

export function turnIsOver(turn: Turn): boolean {
  return performance.now() > turn.until;
}

/** A stage that gives one document for each. */
export function eachDocument(change: (doc: Doc) => Doc): Stage {
  return function* changed(input) {
    for (const doc of input) yield doc && change(doc);
  };
}

/** A stage that gives any number of documents for each. */
export function eachToMany(turn: Turn, change: (doc: Doc) => Iterable<Doc>): Stage {
  return function* changed(input) {
    let given = 0;
    for (const doc of input) {
      if (!doc) {
        yield null;
        continue;
      }
      for (const one of change(doc)) {
        yield one;
        if (++given % CHECK_EVERY === 0 && turnIsOver(turn)) yield null;
      }
    }
  };
}

export function onlyThose(test: (doc: Doc) => boolean): Stage {
  return function* filtered(input) {
    for (const doc of input) if (doc === null || test(doc)) yield doc;
  };
}

/** Documents that are in memory, with pauses where the turn is over. */
export function* fromList(list: readonly Doc[], turn: Turn): Flow {
  for (let i = 0; i < list.length; i++) {
    yield list[i]!;
    if (i % CHECK_EVERY === CHECK_EVERY - 1 && turnIsOver(turn)) yield null;
  }
}

/** Runs a flow to its end in one go: for flows over single documents. */
export function drain(flow: Flow): Doc[] {
  const docs: Doc[] = [];
  for (const doc of flow) if (doc) docs.push(doc);
  return docs;
}
