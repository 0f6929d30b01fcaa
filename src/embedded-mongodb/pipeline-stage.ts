/** What the compilers of the single stages share. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import type { Flow, Stage, Turn } from './flow.js';
import type { LeadingQuery } from './pipeline-leading.js';

export interface PipelineScope {
  /** What a query finds in another collection of the same database; `variables` are for its `$expr`. */
  find: (collection: string, query: Partial<LeadingQuery>, variables: Doc) => Flow;
  variables: Doc;
  turn: Turn;
  /** Compiles the pipelines inside a stage; their `$match` at the beginning is left to `find` where they read a collection. */
  compile: (stages: readonly Doc[], scope: PipelineScope) => Stage;
  /** What the stages that tell about the server give. */
  about?: Record<'$collStats' | '$indexStats' | '$currentOp' | '$listLocalSessions', (operand: unknown) => Doc[]>;
}

/** @throws CommandError when the stage's specification is not valid */
export type StageCompiler = (operand: unknown, scope: PipelineScope) => Stage;

/** @throws CommandError with `code` when the operand is no object */
export function objectOperand(name: string, operand: unknown, code = 40228): Doc {
  if (!isObject(operand)) throw new CommandError(code, `the ${name} stage specification must be an object`);
  return operand;
}

/** The stages of a pipeline inside a stage. @throws CommandError 14 */
export function pipelineOperand(name: string, value: unknown): Doc[] {
  if (!Array.isArray(value)) throw new CommandError(14, `'pipeline' option of ${name} must be an array`);
  for (const stage of value) if (!isObject(stage)) throw new CommandError(14, "Each element of the 'pipeline' array must be an object");
  return value as Doc[];
}
