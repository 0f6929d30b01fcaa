/** The update operators on arrays: `$push` with its modifiers, `$addToSet`, `$pop`, `$pull`, `$pullAll`. */
import { decodeRaw, RawValue } from './bson-decode.js';
import { compare, equals, isObject } from './bson-order.js';
import { badValue, CommandError, failedToParse, typeMismatch } from './command-error.js';
import { compileFilter, elemMatchTest, isOperatorObject } from './match.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { compileSort } from './sort.js';
import { shown, type FieldChange } from './update-fields.js';

/** True for a `$push` that looks neither at what it adds nor at what is there. */
export function isBlindPush(operand: unknown): boolean {
  return isObject(operand) && '$each' in operand && !('$sort' in operand);
}

interface PushSpec {
  items: unknown[];
  position: number | null;
  slice: number | null;
  sort: ((a: unknown, b: unknown) => number) | null;
}

function parsePush(operand: unknown): PushSpec {
  if (!isObject(operand) || !('$each' in operand)) return { items: [operand], position: null, slice: null, sort: null };
  const spec: PushSpec = { items: [], position: null, slice: null, sort: null };
  for (const [name, value] of Object.entries(operand)) {
    if (name === '$each') {
      if (!Array.isArray(value)) throw badValue(`The argument to $each in $push must be an array but it was of type: ${bsonTypeName(value)}`);
      spec.items = value;
    } else if (name === '$position' || name === '$slice') {
      const whole = wholeNumber(value);
      if (whole === null) throw badValue(`The value for ${name} must be an integer value but was given type: ${bsonTypeName(value)}`);
      if (name === '$position') spec.position = whole;
      else spec.slice = whole;
    } else if (name === '$sort') spec.sort = pushSort(value);
    else throw badValue(`Unrecognized clause in $push: ${name}`);
  }
  if (spec.sort !== null) spec.items = spec.items.map((item) => (item instanceof RawValue ? decodeRaw(item) : item));
  return spec;
}

function pushSort(value: unknown): (a: unknown, b: unknown) => number {
  if (isObject(value)) {
    if (Object.keys(value).length === 0) throw badValue('The $sort pattern is empty when it should be a set of fields.');
    const sort = compileSort(value);
    return (a, b) => sort((isObject(a) ? a : {}), (isObject(b) ? b : {}));
  }
  const direction = wholeNumber(value);
  if (direction !== 1 && direction !== -1) throw badValue('The $sort element value must be either 1 or -1');
  return (a, b) => direction * compare(a, b);
}

export function pushChange(operand: unknown): FieldChange {
  const { items, position, slice, sort } = parsePush(operand);
  return (present, doc, path) => {
    if (present !== undefined && !Array.isArray(present)) {
      throw badValue(`The field '${path}' must be an array but is of type ${bsonTypeName(present)} in document {_id: ${shown(doc['_id'])}}`);
    }
    let list = [...((present as unknown[] | undefined) ?? [])];
    if (position === null && sort === null && slice === null) {
      list.push(...items);
      return list;
    }
    const at = position === null ? list.length : position < 0 ? Math.max(0, list.length + position) : Math.min(position, list.length);
    list = [...list.slice(0, at), ...items, ...list.slice(at)];
    if (sort) list.sort(sort);
    if (slice !== null) list = slice === 0 ? [] : slice > 0 ? list.slice(0, slice) : list.slice(slice);
    return list;
  };
}

export function addToSetChange(operand: unknown): FieldChange {
  let items = [operand];
  if (isObject(operand) && '$each' in operand) {
    if (!Array.isArray(operand['$each'])) throw typeMismatch(`The argument to $each in $addToSet must be an array but it was of type ${bsonTypeName(operand['$each'])}`);
    if (Object.keys(operand).length > 1) throw badValue(`Found unexpected fields after $each in $addToSet: ${shown(operand)}`);
    items = operand['$each'];
  }
  return (present, _doc, path) => {
    if (present !== undefined && !Array.isArray(present)) {
      throw badValue(`Cannot apply $addToSet to non-array field. Field named '${path.split('.').at(-1)}' has non-array type ${bsonTypeName(present)}`);
    }
    const list = [...((present as unknown[] | undefined) ?? [])];
    for (const item of items) if (!list.some((known) => equals(known, item))) list.push(item);
    return list;
  };
}

export function popChange(operand: unknown): FieldChange {
  const end = wholeNumber(operand);
  if (end === null) throw failedToParse(`Expected a number in: $pop: ${shown(operand)}`);
  if (end !== 1 && end !== -1) throw failedToParse(`$pop expects 1 or -1, found: ${shown(operand)}`);
  return (present, _doc, path) => {
    if (present === undefined) return undefined;
    if (!Array.isArray(present)) throw typeMismatch(`Path '${path}' contains an element of non-array type '${bsonTypeName(present)}'`);
    return end === 1 ? present.slice(0, -1) : present.slice(1);
  };
}

export function pullChange(operand: unknown): FieldChange {
  const gone = pullTest(operand);
  return removal('$pull', gone);
}

function pullTest(operand: unknown): (item: unknown) => boolean {
  if (isOperatorObject(operand)) {
    const match = elemMatchTest(operand, {});
    return (item) => match([item]);
  }
  if (isObject(operand)) {
    const match = compileFilter(operand);
    return (item) => isObject(item) && match(item);
  }
  const match = compileFilter({ v: operand });
  return (item) => (Array.isArray(operand) ? equals(item, operand) : !Array.isArray(item) && item !== undefined && match({ v: item }));
}

export function pullAllChange(operand: unknown): FieldChange {
  if (!Array.isArray(operand)) throw badValue(`$pullAll requires an array argument but was given a ${bsonTypeName(operand)}`);
  return removal('$pullAll', (item) => operand.some((gone) => equals(item, gone)));
}

function removal(operator: string, gone: (item: unknown) => boolean): FieldChange {
  return (present) => {
    if (present === undefined) return undefined;
    if (!Array.isArray(present)) throw new CommandError(2, `Cannot apply ${operator} to a non-array value`);
    return present.some(gone) ? present.filter((item) => !gone(item)) : undefined;
  };
}
