/** `$setWindowFields` and `$fill`: values computed over the neighbours of each document in its partition. */
import type { Doc } from './bson-decode.js';
import { compare, isObject, RANK, typeRank } from './bson-order.js';
import { CommandError, failedToParse } from './command-error.js';
import { compileExpression } from './expression.js';
import { turnIsOver, type Stage } from './flow.js';
import { openAccount } from './memory-account.js';
import { addFields, setAt } from './pipeline-fields.js';
import { objectOperand, type PipelineScope, type StageCompiler } from './pipeline-stage.js';
import { compareSortKeys, parseSort, sortKey, type SortPart } from './sort.js';
import { createSorter } from './sorter.js';
import { compileWindow, type WindowField } from './window-fields.js';
import type { Partition } from './window-functions.js';

const FIELDS = new Set(['partitionBy', 'sortBy', 'output']);

export const setWindowFields: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$setWindowFields', operand, 9);
  for (const name in spec) if (!FIELDS.has(name)) throw new CommandError(40415, `BSON field '$setWindowFields.${name}' is an unknown field.`);
  if (!isObject(spec['output'])) throw new CommandError(40414, "BSON field '$setWindowFields.output' is missing but a required field");
  const sort = isObject(spec['sortBy']) ? parseSort(spec['sortBy']) : [];
  const by = spec['partitionBy'] === undefined ? null : compileExpression(spec['partitionBy'], scope.variables);
  const outputs = Object.entries(spec['output']).map(([path, output]) => compileWindow(path, output, sort, scope.variables));
  return overPartitions(by, sort, outputs, scope);
};

interface Row {
  partition: unknown;
  key: unknown[];
  doc: Doc;
}

function overPartitions(by: ((doc: Doc) => unknown) | null, sort: readonly SortPart[], outputs: readonly WindowField[], scope: PipelineScope): Stage {
  return function* windowed(input) {
    const account = openAccount();
    try {
      const sorter = createSorter<Row>((a, b) => compare(a.partition, b.partition) || compareSortKeys(a.key, b.key, sort));
      for (const doc of input) {
        if (doc) {
          account.hold(doc);
          sorter.add({ partition: partitionOf(by, doc), key: sortKey(doc, sort), doc });
        } else yield null;
      }
      let rows: Row[] = [];
      for (const row of sorter.sorted()) {
        if (rows.length > 0 && compare(rows[0]!.partition, row.partition) !== 0) {
          yield* finish(rows, outputs, sort, scope);
          rows = [];
        }
        rows.push(row);
        if (turnIsOver(scope.turn)) yield null;
      }
      yield* finish(rows, outputs, sort, scope);
    } finally {
      account.close();
    }
  };
}

function partitionOf(by: ((doc: Doc) => unknown) | null, doc: Doc): unknown {
  const value = by ? (by(doc) ?? null) : null;
  if (typeRank(value) === RANK.array) throw new CommandError(14, 'An expression used to partition cannot evaluate to value of type array');
  return value;
}

function* finish(rows: readonly Row[], outputs: readonly WindowField[], sort: readonly SortPart[], scope: PipelineScope): Iterable<Doc | null> {
  const partition: Partition = { docs: rows.map((row) => row.doc), keys: rows.map((row) => row.key), sort };
  const readers = outputs.map((output) => [output.path, output.open(partition)] as const);
  for (let i = 0; i < rows.length; i++) {
    let doc = rows[i]!.doc;
    for (const [path, { prepare, read }] of readers) {
      while (!prepare(i)) if (turnIsOver(scope.turn)) yield null;
      doc = setAt(doc, path, read(i) ?? null);
    }
    yield doc;
    if (turnIsOver(scope.turn)) yield null;
  }
}

const FILL_FIELDS = new Set(['partitionBy', 'partitionByFields', 'sortBy', 'output']);

/** `$fill`: constants by an expression, `locf` and `linear` by windows. */
export const fill: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$fill', operand, 9);
  for (const name in spec) if (!FILL_FIELDS.has(name)) throw new CommandError(40415, `BSON field '$fill.${name}' is an unknown field.`);
  const { partitionBy, partitionByFields, sortBy, output } = spec;
  if (!isObject(output) || Object.keys(output).length === 0) throw new CommandError(40414, "BSON field '$fill.output' is missing but a required field");
  if (partitionBy !== undefined && partitionByFields !== undefined) throw new CommandError(6050204, "Maximum one of 'partitionBy' and 'partitionByFields can be specified in '$fill'");
  const constants: Doc = {};
  const windows: Doc = {};
  for (const [path, how] of Object.entries(output)) {
    if (!isObject(how)) throw failedToParse(`the output of $fill for '${path}' must be an object`);
    if ('value' in how) constants[path] = { $ifNull: [`$${path}`, how['value']] };
    else if (how['method'] === 'locf') windows[path] = { $locf: `$${path}` };
    else if (how['method'] === 'linear') windows[path] = { $linearFill: `$${path}` };
    else throw new CommandError(6050202, `Method must be either 'locf' or 'linear'`);
  }
  const by = Array.isArray(partitionByFields) ? Object.fromEntries((partitionByFields as string[]).map((path) => [path.replaceAll('.', '_'), `$${path}`])) : partitionBy;
  const stages: Stage[] = [];
  if (Object.keys(constants).length > 0) stages.push(addFields(constants, scope));
  if (Object.keys(windows).length > 0) stages.push(setWindowFields({ ...(by === undefined ? {} : { partitionBy: by }), ...(sortBy === undefined ? {} : { sortBy }), output: windows }, scope));
  return (input) => stages.reduce((flow, stage) => stage(flow), input);
};
