/** The update operators on single fields: what each makes of the value that is there. */
import { Timestamp } from 'bson';
import { add, isNumber, multiply, numberKind } from './arithmetic.js';
import type { Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { badValue, typeMismatch } from './command-error.js';
import { bsonTypeName } from './match-leaf.js';

/** Gets the present value (undefined when missing) and gives the new one; undefined leaves the field alone. */
export type FieldChange = (present: unknown, doc: Doc, path: string) => unknown;

export function incChange(operand: unknown): FieldChange {
  if (!isNumber(operand)) throw typeMismatch(`Cannot increment with non-numeric argument: ${shown(operand)}`);
  return (present, doc, path) => {
    if (present === undefined) return operand;
    if (!isNumber(present)) throw nonNumeric('$inc', present, doc, path);
    return add(present, operand);
  };
}

export function mulChange(operand: unknown): FieldChange {
  if (!isNumber(operand)) throw typeMismatch(`Cannot multiply with non-numeric argument: ${shown(operand)}`);
  return (present, doc, path) => {
    if (present === undefined) return multiply(operand, 0);
    if (!isNumber(present)) throw nonNumeric('$mul', present, doc, path);
    return multiply(present, operand);
  };
}

function nonNumeric(operator: string, present: unknown, doc: Doc, path: string): Error {
  const field = path.split('.').at(-1);
  return typeMismatch(
    `Cannot apply ${operator} to a value of non-numeric type. {_id: ${shown(doc['_id'])}} has the field '${field}' of non-numeric type ${bsonTypeName(present)}`,
  );
}

export function shown(value: unknown): string {
  if (value !== null && typeof value === 'object' && !Array.isArray(value) && !isObject(value)) return value instanceof Date ? value.toISOString() : (value as { toString(): string }).toString();
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? 'undefined';
}

export function minChange(operand: unknown): FieldChange {
  return (present) => (present === undefined || compare(operand, present) < 0 ? operand : undefined);
}

export function maxChange(operand: unknown): FieldChange {
  return (present) => (present === undefined || compare(operand, present) > 0 ? operand : undefined);
}

let timestampSecond = 0;
let timestampCount = 0;

export function newTimestamp(): Timestamp {
  const second = Math.floor(Date.now() / 1000);
  timestampCount = second === timestampSecond ? timestampCount + 1 : 1;
  timestampSecond = second;
  return new Timestamp({ t: second, i: timestampCount });
}

export function currentDateChange(operand: unknown): FieldChange {
  if (operand === true || operand === false) return () => new Date();
  const type = isObject(operand) && Object.keys(operand).length === 1 ? operand['$type'] : undefined;
  if (type === 'date') return () => new Date();
  if (type === 'timestamp') return () => newTimestamp();
  if (isObject(operand) && '$type' in operand) throw badValue("The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field : {$type: 'date'}}}");
  throw badValue(`${shown(operand)} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression ({$type: 'timestamp/date'}).`);
}

export function bitChange(operand: unknown): FieldChange {
  if (!isObject(operand)) throw badValue(`The $bit modifier is not compatible with a ${bsonTypeName(operand)}. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}`);
  const steps = Object.entries(operand);
  if (steps.length === 0) throw badValue("You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}");
  for (const [name, mask] of steps) {
    if (name !== 'and' && name !== 'or' && name !== 'xor') throw badValue(`The $bit modifier only supports 'and', 'or', and 'xor', not '${name}' which is an unknown operator`);
    if (!isWhole(mask)) throw badValue(`The $bit modifier field must be an Integer(32/64 bit); a '${bsonTypeName(mask)}' is not supported here`);
  }
  return (present, doc, path) => {
    const start = present === undefined ? 0 : present;
    if (!isWhole(start)) throw badValue(`Cannot apply $bit to a value of non-integral type.${shown({ _id: doc['_id'] })} has the field ${path} of non-integer type ${bsonTypeName(start)}`);
    return steps.reduce<number | bigint>((value, [name, mask]) => bitwise(name, value, mask as number | bigint), start);
  };
}

function isWhole(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && numberKind(value) === 'int');
}

function bitwise(name: string, value: number | bigint, mask: number | bigint): number | bigint {
  if (typeof value === 'number' && typeof mask === 'number') return name === 'and' ? value & mask : name === 'or' ? value | mask : value ^ mask;
  const [a, b] = [BigInt(value), BigInt(mask)];
  return name === 'and' ? a & b : name === 'or' ? a | b : a ^ b;
}
