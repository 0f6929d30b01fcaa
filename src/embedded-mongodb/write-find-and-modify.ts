/** The `findAndModify` command: one document is changed, replaced, added or removed, and shown as it was before or after. */
import type { Doc } from './bson-decode.js';
import { encode, RawBson } from './bson-encode.js';
import { failedToParse } from './command-error.js';
import { collectionName, docArgument, findCollection, matchContext, type CommandContext } from './command-context.js';
import { compileExpression } from './expression.js';
import { projectBytes, type Found } from './find-runner.js';
import { truthy } from './match.js';
import { compileProjection } from './project.js';
import { deleteRecord } from './records.js';
import { parseSort } from './sort.js';
import { runSteps, type Steps } from './write-steps.js';
import { findTargets } from './write-targets.js';
import { applyUpdate, insertUpserted, readUpdate, reachOf, type UpdateStatement } from './write-update.js';

export function findAndModify(context: CommandContext): Doc | Promise<Doc> {
  const { command } = context;
  const removing = truthy(command['remove']);
  const statement: Doc = { q: command['query'] ?? {}, u: command['update'], arrayFilters: command['arrayFilters'], upsert: command['upsert'], hint: command['hint'], collation: command['collation'] };
  if (removing && command['update'] !== undefined) throw failedToParse('Cannot specify both an update and remove=true');
  if (!removing && command['update'] === undefined) throw failedToParse('Either an update or remove=true must be specified');
  if (removing && truthy(command['upsert'])) throw failedToParse('Cannot specify both upsert=true and remove=true');
  if (removing && truthy(command['new'])) throw failedToParse("Cannot specify both new=true and remove=true; 'remove' always returns the deleted document");
  if (removing) statement['u'] = {};
  const parsed = readUpdate(context, statement);
  parsed.sort = parseSort(docArgument(command, 'sort'));
  return runSteps(context, findAndModifySteps(context, parsed, removing));
}

function* findAndModifySteps(context: CommandContext, statement: UpdateStatement, removing: boolean): Steps {
  const { command } = context;
  const name = collectionName(context);
  const fields = docArgument(command, 'fields', docArgument(command, 'projection'));
  const matching = matchContext(command);
  const project = Object.keys(fields).length === 0 ? null : compileProjection(fields, (expression) => compileExpression(expression, matching.variables), matching);
  const shownBytes = (bytes: Buffer): RawBson => new RawBson(projectBytes(bytes, project, statement.filter));
  const collection = findCollection(context);
  const target = collection ? ((yield* findTargets(context, collection, statement, 1))[0] as Found | undefined) : undefined;
  const wantsNew = truthy(command['new']);
  if (target && collection) {
    if (removing) {
      deleteRecord(context.store, collection, target.record, target.bytes);
      return { lastErrorObject: { n: 1 }, value: shownBytes(target.bytes), ok: 1 };
    }
    const after = applyUpdate(context, collection, target, statement, reachOf(collection, statement.compiled)) ?? target.bytes;
    return { lastErrorObject: { n: 1, updatedExisting: true }, value: shownBytes(wantsNew ? after : target.bytes), ok: 1 };
  }
  if (removing) return { lastErrorObject: { n: 0 }, value: null, ok: 1 };
  if (!statement.upsert) return { lastErrorObject: { n: 0, updatedExisting: false }, value: null, ok: 1 };
  const doc = insertUpserted(context, name, statement);
  return { lastErrorObject: { n: 1, updatedExisting: false, upserted: doc['_id'] }, value: wantsNew ? shownBytes(encode(doc)) : null, ok: 1 };
}
