/** The `_id` of a document: every document has one, in front, and not every value can be one. */
import { BSONRegExp, ObjectId } from 'bson';
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';

/** Gives the document an `_id` if it has none, and puts it first. */
export function withId(doc: Doc): Doc {
  if (doc['_id'] === undefined) return { _id: new ObjectId(), ...doc };
  if (Object.keys(doc)[0] === '_id') return doc;
  const { _id, ...rest } = doc;
  return { _id, ...rest };
}

/** @throws CommandError 53, 52 when the value can be no `_id` */
export function checkId(id: unknown): void {
  if (Array.isArray(id)) throw new CommandError(53, "The '_id' value cannot be of type array");
  if (id instanceof BSONRegExp) throw new CommandError(53, "The '_id' value cannot be of type regex");
  if (isObject(id)) for (const name in id) if (name.startsWith('$') && !['$ref', '$id', '$db'].includes(name)) throw new CommandError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`);
}
