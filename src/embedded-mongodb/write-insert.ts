/** The `insert` command. */
import { ObjectId, Timestamp } from 'bson';
import { decode, type Doc } from './bson-decode.js';
import { findField } from './bson-fields.js';
import { encode } from './bson-encode.js';
import { sliceIsOver } from './budget.js';
import { checkName } from './catalog.js';
import { failedToParse } from './command-error.js';
import { collectionName, findCollection, type CommandContext } from './command-context.js';
import { checkId, withId } from './document-id.js';
import { insertRecord } from './records.js';
import { replaceTimestamps } from './update.js';
import { checkBatchSize, giveWay, runSteps, writeError, type Steps } from './write-steps.js';

export function insert(context: CommandContext): Doc | Promise<Doc> {
  const name = collectionName(context);
  if (!findCollection(context)) checkName(context.db, name);
  const docs = context.sequences.get('documents');
  if (!docs) throw failedToParse("BSON field 'insert.documents' is missing but a required field");
  checkBatchSize(docs.length);
  return runSteps(context, insertSteps(context, name, docs));
}

function* insertSteps(context: CommandContext, name: string, docs: readonly Buffer[]): Steps {
  const ordered = context.command['ordered'] !== false;
  const writeErrors: Doc[] = [];
  let n = 0;
  for (let i = 0; i < docs.length; i++) {
    try {
      const { doc, bytes } = prepareInsert(docs[i]!);
      insertRecord(context.store, context.catalog.getOrCreate(context.db, name), doc, bytes);
      n++;
    } catch (error) {
      writeErrors.push(writeError(i, error));
      if (ordered) break;
    }
    if (i + 1 < docs.length && sliceIsOver()) yield* giveWay(context);
  }
  return { n, ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

/** The document with its `_id` in front, as it is stored; all else stays byte for byte as it came. */
function prepareInsert(raw: Buffer): { doc: Doc; bytes: Buffer } {
  const doc = decode(raw);
  checkId(doc['_id']);
  const found = findField(raw, '_id');
  if (hasTimestamp(doc) || (found && doc['_id'] === undefined)) {
    const complete = withId(replaceTimestamps(doc));
    return { doc: complete, bytes: encode(complete) };
  }
  if (found?.start === FIRST_FIELD) return { doc, bytes: raw };
  if (found) return { doc, bytes: Buffer.concat([raw.subarray(0, FIRST_FIELD), raw.subarray(found.start, found.end), raw.subarray(FIRST_FIELD, found.start), raw.subarray(found.end)]) };
  const id = encode({ _id: (doc['_id'] = new ObjectId()) });
  const bytes = Buffer.concat([id.subarray(0, -1), raw.subarray(FIRST_FIELD)]);
  bytes.writeInt32LE(bytes.length, 0);
  return { doc, bytes };
}

const FIRST_FIELD = 4;

function hasTimestamp(doc: Doc): boolean {
  for (const name in doc) if (doc[name] instanceof Timestamp) return true;
  return false;
}
