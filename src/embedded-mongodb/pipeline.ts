/** Aggregation stages on documents in memory. */
import { Aggregator } from 'mingo/aggregator';
import type { Doc } from './bson-decode.js';
import { CommandError } from './command-error.js';
import { MINGO_CONTEXT, toMingo } from './expression.js';

export interface PipelineScope {
  /** All documents of another collection of the same database. */
  read: (collection: string) => Doc[];
  variables: Doc;
}

/** Runs stages over documents. @throws CommandError when a stage is not valid. */
export function runPipeline(docs: Doc[], stages: Doc[], scope: PipelineScope): Doc[] {
  try {
    const aggregator = new Aggregator(stages.map((stage) => toMingo(stage)) as never, {
      context: MINGO_CONTEXT,
      collectionResolver: (name: string) => scope.read(name).map((doc) => toMingo(doc)),
      variables: toMingo(scope.variables),
    } as never);
    return aggregator.run(docs.map((doc) => toMingo(doc)) as never) as Doc[];
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(2, (error as Error).message);
  }
}
