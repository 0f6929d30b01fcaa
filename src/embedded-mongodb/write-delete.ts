/** The `delete` command. */
import type { Doc } from './bson-decode.js';
import { sliceIsOver } from './budget.js';
import { failedToParse } from './command-error.js';
import { collectionName, docArgument, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { compileFilter, fieldsOf } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { deleteRecord } from './records.js';
import { giveWay, runSteps, statements, writeError, type Steps } from './write-steps.js';
import { current, findTargets, recordOf } from './write-targets.js';

export function remove(context: CommandContext): Doc | Promise<Doc> {
  return runSteps(context, deleteSteps(context, collectionName(context), statements(context, 'deletes')));
}

function* deleteSteps(context: CommandContext, name: string, list: readonly Doc[]): Steps {
  const ordered = context.command['ordered'] !== false;
  const writeErrors: Doc[] = [];
  let n = 0;
  for (let i = 0; i < list.length; i++) {
    try {
      n += yield* runDelete(context, name, list[i]!);
    } catch (error) {
      writeErrors.push(writeError(i, error));
      if (ordered) break;
    }
    if (i + 1 < list.length && sliceIsOver()) yield* giveWay(context);
  }
  return { n, ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

function* runDelete(context: CommandContext, name: string, statement: Doc): Generator<undefined, number> {
  refuseCollation(statement);
  const filter = docArgument(statement, 'q');
  const limit = wholeNumber(statement['limit']);
  if (limit !== 0 && limit !== 1) throw failedToParse(`The limit field in delete objects must be 0 or 1. Got ${String(statement['limit'])}`);
  const match = compileFilter(filter, matchContext(context.command));
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (!collection) return 0;
  const fields = fieldsOf(filter);
  const targets = yield* findTargets(context, collection, { filter, fields, match, hint: statement['hint'], sort: [] }, limit);
  let n = 0;
  let isFresh = true;
  for (let i = 0; i < targets.length; i++) {
    const found = current(context, collection, isFresh ? targets[i]! : recordOf(targets[i]!), match, fields);
    if (!found) continue;
    deleteRecord(context.store, collection, found.record, found.bytes);
    n++;
    if (i + 1 === targets.length || !sliceIsOver()) continue;
    yield* giveWay(context);
    isFresh = false;
  }
  return n;
}
