/** `validate`: reads every document and index entry of a collection and reports whatever does not fit together. */
import { decode, type Doc } from './bson-decode.js';
import { requireCollection } from './commands-schema.js';
import { checkDeadline, type CommandContext } from './command-context.js';
import type { Collection } from './catalog.js';
import { keysOf, type Index } from './index-definition.js';
import { entryKey, findUnique, indexBounds } from './records.js';
import { collectionBounds, recordKey, type Store } from './store.js';

const CHUNK = 200;
const MAX_ERRORS = 50;

export function validate(context: CommandContext): Doc | Promise<Doc> {
  const steps = validateSteps(context);
  return context.executor.sliced(false, () => {
    checkDeadline(context);
    const { done, value } = steps.next();
    return done ? value : undefined;
  });
}

interface Report {
  errors: string[];
  /** Entries that the documents ought to have, by index. */
  expected: Map<string, number>;
  records: number;
}

function note(report: Report, error: string): void {
  if (report.errors.length < MAX_ERRORS) report.errors.push(error);
}

/** Other commands may write between the steps, so each step judges only what it reads itself; totals count when nobody wrote. */
function* validateSteps(context: CommandContext): Generator<undefined, Doc> {
  const { store } = context;
  const collection = requireCollection(context);
  const report: Report = { errors: [], expected: new Map(), records: 0 };
  const countBefore = collection.count;
  const undisturbed = (): boolean => collection.count === countBefore;
  yield* checkDocuments(store, collection, report);
  const keysPerIndex: Doc = {};
  for (const index of collection.indexes.filter(({ ready }) => ready)) {
    const entries = yield* checkEntries(store, collection, index, report);
    keysPerIndex[index.name] = entries;
    const expected = report.expected.get(index.name) ?? 0;
    if (undisturbed() && entries !== expected) note(report, `index ${index.name} has ${entries} entries, ${expected} were expected`);
  }
  if (undisturbed() && report.records !== collection.count) note(report, `the collection counts ${collection.count} documents but holds ${report.records}`);
  return {
    ns: collection.ns, nInvalidDocuments: 0, nrecords: report.records, nIndexes: collection.indexes.length, keysPerIndex, indexDetails: {}, valid: report.errors.length === 0,
    repaired: false, warnings: [], errors: report.errors, extraIndexEntries: [], missingIndexEntries: [], ok: 1,
  };
}

/** Every document is BSON and has all its index entries. */
function* checkDocuments(store: Store, collection: Collection, report: Report): Generator<undefined, void> {
  const { end } = collectionBounds(collection.id);
  for (let next = 0; ; ) {
    const rows = Array.from(store.docs.getRange({ start: recordKey(collection.id, next), end, limit: CHUNK }));
    for (const { key, value } of rows) {
      const record = key.readUIntBE(4, 6);
      next = record + 1;
      report.records++;
      checkDocument(store, collection, record, value, report);
    }
    if (rows.length < CHUNK) return;
    yield undefined;
  }
}

function checkDocument(store: Store, collection: Collection, record: number, bytes: Buffer, report: Report): void {
  let doc: Doc;
  try {
    doc = decode(bytes);
  } catch (error) {
    note(report, `record ${record} is not valid BSON: ${(error as Error).message}`);
    return;
  }
  for (const index of collection.indexes) {
    if (!index.ready) continue;
    const keys = keysOf(index, doc);
    report.expected.set(index.name, (report.expected.get(index.name) ?? 0) + keys.length);
    for (const key of keys) {
      const found = index.unique ? findUnique(store, index, key) === record : store.index.doesExist(entryKey(index, key, record));
      if (!found) note(report, `index ${index.name} lacks an entry of record ${record}`);
    }
  }
}

/** Every entry of an index belongs to a document; gives the number of entries. */
function* checkEntries(store: Store, collection: Collection, index: Index, report: Report): Generator<undefined, number> {
  const { start, end } = indexBounds(index);
  let entries = 0;
  for (let from = start; ; ) {
    const rows = Array.from(store.index.getRange({ start: from, end, exclusiveStart: from !== start, limit: CHUNK }));
    for (const { key, value } of rows) {
      entries++;
      const record = index.unique ? value.readUIntBE(0, 6) : key.readUIntBE(key.length - 6, 6);
      if (!store.docs.doesExist(recordKey(collection.id, record))) note(report, `index ${index.name} has an entry for record ${record}, which does not exist`);
    }
    from = rows.at(-1)?.key ?? from;
    if (rows.length < CHUNK) return entries;
    yield undefined;
  }
}
