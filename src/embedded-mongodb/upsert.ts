/** The document that an upsert inserts: what the filter says by equality, before the update is applied to it. */
import type { Doc } from './bson-decode.js';
import { CommandError } from './command-error.js';
import { isOperatorObject } from './match.js';
import type { CompiledUpdate } from './update.js';
import { makePlace, splitPath, valueAt, write } from './update-path.js';

/** The document an upsert starts from: what the filter says by equality, with an `_id`. */
export function seedFromFilter(filter: Doc, update: CompiledUpdate): Doc {
  const doc: Doc = {};
  const equalities: [string, unknown][] = [];
  collectEqualities(filter, equalities);
  for (const [path, value] of equalities) {
    if (update.kind === 'replacement' && path !== '_id') continue;
    const place = makePlace(doc, splitPath(path));
    if (valueAt(place) !== undefined && path !== '_id') throw new CommandError(54, `cannot infer query fields to set, path '${path}' is matched twice`);
    write(place, value);
  }
  return doc;
}

function collectEqualities(filter: Doc, into: [string, unknown][]): void {
  for (const [name, operand] of Object.entries(filter)) {
    if (name === '$and') for (const part of operand as Doc[]) collectEqualities(part, into);
    else if (name === '$or' && (operand as Doc[]).length === 1) collectEqualities((operand as Doc[])[0]!, into);
    else if (!name.startsWith('$')) collectFieldEquality(name, operand, into);
  }
}

function collectFieldEquality(name: string, operand: unknown, into: [string, unknown][]): void {
  if (!isOperatorObject(operand)) {
    if (!(operand instanceof RegExp) && (operand as { _bsontype?: string } | null)?._bsontype !== 'BSONRegExp') into.push([name, operand]);
    return;
  }
  if ('$eq' in operand) into.push([name, operand['$eq']]);
  const all = operand['$all'];
  if (Array.isArray(all) && all.length === 1 && !isOperatorObject(all[0])) into.push([name, all[0]]);
  const any = operand['$in'];
  if (Array.isArray(any) && any.length === 1 && !isOperatorObject(any[0])) into.push([name, any[0]]);
}
