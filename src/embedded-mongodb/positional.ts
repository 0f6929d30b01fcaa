/** Which element of an array a query's conditions mean: what `$` in an update and in a projection stands for. */
import type { Doc } from './bson-decode.js';
import { compileFilter } from './match.js';
import { findPlace, valueAt, write } from './update-path.js';

/** The first element of the array at `path` for which the query's conditions on that array hold. */
export function positionalIndex(doc: Doc, filter: Doc, path: string, inserting = false): number | null {
  if (inserting) return null;
  const clauses: Doc[] = [];
  collectClauses(filter, path, clauses);
  if (clauses.length === 0) return null;
  const place = findPlace(doc, path.split('.'));
  const list = place ? valueAt(place) : undefined;
  if (!place || !Array.isArray(list)) return null;
  const matchers = clauses.map((clause) => compileFilter(clause));
  let partial: number | null = null;
  for (let i = 0; i < list.length; i++) {
    write(place, [list[i]]);
    const passed = matchers.filter((match) => match(doc)).length;
    write(place, list);
    if (passed === matchers.length) return i;
    if (passed > 0) partial ??= i;
  }
  return partial;
}

function collectClauses(filter: Doc, path: string, into: Doc[]): void {
  for (const [name, operand] of Object.entries(filter)) {
    if (name === '$and' || name === '$or') for (const part of operand as Doc[]) collectClauses(part, path, into);
    else if (name === path || name.startsWith(`${path}.`)) into.push({ [name]: operand });
  }
}
