/** What all commands that write share: their statements, their turns, and the errors of single statements. */
import { decode, type Doc } from './bson-decode.js';
import { beginTurn } from './budget.js';
import { isObject } from './bson-order.js';
import { checkStatementFields } from './command-fields.js';
import { CommandError, failedToParse, typeMismatch } from './command-error.js';
import { checkDeadline, type CommandContext } from './command-context.js';

/** A command in steps: it yields where others may have their turn. */
export type Steps = Generator<undefined, Doc>;

export function runSteps(context: CommandContext, steps: Steps): Doc | Promise<Doc> {
  const reply = context.executor.sliced(true, () => {
    beginTurn(context.deadline);
    const { done, value } = steps.next();
    return done ? value : undefined;
  });
  // One whose turn was thrown away by a failed commit is still in the middle: it lets go of what it holds.
  if (reply instanceof Promise) reply.catch(() => context.executor.submit(true, false, () => void steps.return({})).catch(() => undefined));
  return reply;
}

const MAX_STATEMENTS = 100_000;

/** Lets others have their turn, unless the time of the command is over. @throws CommandError 50 */
export function* giveWay(context: CommandContext): Generator<undefined, void> {
  checkDeadline(context);
  yield undefined;
}

/** @throws CommandError 16 when a command has too many statements, or none */
export function checkBatchSize(count: number): void {
  if (count === 0 || count > MAX_STATEMENTS) throw new CommandError(16, `Write batch sizes must be between 1 and ${MAX_STATEMENTS}. Got ${count} operations.`);
}

/** The statements of a command, from its sequence or from the command itself. @throws CommandError 9, 14, 16, 40415 */
export function statements(context: CommandContext, name: string, decodeOne: (bytes: Buffer) => Doc = decode): Doc[] {
  const raw = context.sequences.get(name);
  const list = raw ? raw.map((bytes) => decodeOne(bytes)) : context.command[name];
  if (!Array.isArray(list)) throw failedToParse(`BSON field '${context.name}.${name}' is missing but a required field`);
  checkBatchSize(list.length);
  for (const item of list) {
    if (!isObject(item)) throw typeMismatch(`BSON field '${context.name}.${name}' has an element that is not an object`);
    checkStatementFields(context.name, name, item);
  }
  return list as Doc[];
}

/** A failed statement as a part of the answer; what is no CommandError fails the whole command, and so does the end of its time. */
export function writeError(index: number, error: unknown): Doc {
  if (!(error instanceof CommandError) || error.code === 50) throw error;
  return { index, code: error.code, ...error.extra, errmsg: error.message };
}
