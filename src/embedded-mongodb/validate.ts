/** `validate`: reads every document and index entry of a collection and reports whatever does not fit together. */
import { decode, type Doc } from './bson-decode.js';
import { requireCollection } from './commands-schema.js';
import { checkDeadline, type CommandContext } from './command-context.js';
import { keysOf } from './index-definition.js';
import { entryKey, findUnique, indexBounds } from './records.js';
import { collectionBounds, recordKey } from './store.js';

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

/** Other commands may write between the steps, so each step judges only what it reads itself. */
function* validateSteps(context: CommandContext): Generator<undefined, Doc> {
  const { store } = context;
  const collection = requireCollection(context);
  const errors: string[] = [];
  const note = (error: string): void => {
    if (errors.length < MAX_ERRORS) errors.push(error);
  };
  const expected = new Map(collection.indexes.map((index) => [index.name, 0]));
  let nrecords = 0;
  let next = 0;
  const startCount = collection.count;
  for (;;) {
    const { end } = collectionBounds(collection.id);
    const rows = [...store.docs.getRange({ start: recordKey(collection.id, next), end, limit: CHUNK })];
    for (const { key, value } of rows) {
      const record = key.readUIntBE(4, 6);
      next = record + 1;
      nrecords++;
      let doc: Doc;
      try {
        doc = decode(value);
      } catch (error) {
        note(`record ${record} is not valid BSON: ${(error as Error).message}`);
        continue;
      }
      for (const index of collection.indexes) {
        if (!index.ready) continue;
        const keys = keysOf(index, doc);
        expected.set(index.name, (expected.get(index.name) ?? 0) + keys.length);
        for (const one of keys) {
          const found = index.unique ? findUnique(store, index, one) === record : store.index.doesExist(entryKey(index, one, record));
          if (!found) note(`index ${index.name} lacks an entry of record ${record}`);
        }
      }
    }
    if (rows.length < CHUNK) break;
    yield undefined;
  }
  const keysPerIndex: Doc = {};
  for (const index of collection.indexes.slice()) {
    if (!index.ready) continue;
    const { start, end } = indexBounds(index);
    let from = start;
    let entries = 0;
    for (;;) {
      const rows = [...store.index.getRange({ start: from, end, exclusiveStart: from !== start, limit: CHUNK })];
      for (const { key, value } of rows) {
        entries++;
        const record = index.unique ? value.readUIntBE(0, 6) : key.readUIntBE(key.length - 6, 6);
        if (!store.docs.doesExist(recordKey(collection.id, record))) note(`index ${index.name} has an entry for record ${record}, which does not exist`);
      }
      from = rows.at(-1)?.key ?? from;
      if (rows.length < CHUNK) break;
      yield undefined;
    }
    keysPerIndex[index.name] = entries;
    if (collection.count === startCount && entries !== expected.get(index.name)) note(`index ${index.name} has ${entries} entries, ${expected.get(index.name)} were expected`);
  }
  if (collection.count === startCount && nrecords !== collection.count) note(`the collection counts ${collection.count} documents but holds ${nrecords}`);
  return { ns: collection.ns, nInvalidDocuments: 0, nrecords, nIndexes: collection.indexes.length, keysPerIndex, indexDetails: {}, valid: errors.length === 0, repaired: false, warnings: [], errors, extraIndexEntries: [], missingIndexEntries: [], ok: 1 };
}
