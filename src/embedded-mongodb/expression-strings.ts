/** The operators on strings: joining, cutting, trimming, searching, replacing, regular expressions. */
import { BSONRegExp } from 'bson';
import type { Doc } from './bson-decode.js';
import { compare, isObject, regexParts } from './bson-order.js';
import { CommandError } from './command-error.js';
import { convert } from './expression-convert.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { compileRegex, type Pattern } from './regex.js';
import { between, fixed, MANY, named, nil, type Run, type ValueOperator } from './value-operator.js';

/** Numbers and dates become strings, null becomes an empty one. */
function text(value: unknown): string {
  if (nil(value)) return '';
  return typeof value === 'string' ? value : (convert(value, 'string') as string);
}

function requireString(name: string, value: unknown, code: number): string {
  if (typeof value !== 'string') throw new CommandError(code, `${name} requires a string argument, found: ${bsonTypeName(value)}`);
  return value;
}

function position(name: string, value: unknown, code: number): number {
  const whole = wholeNumber(value);
  if (whole === null || whole < 0) throw new CommandError(code, `${name} requires a nonnegative integral position, found ${String(value)}`);
  return whole;
}

const concat: Run = (args) => {
  if (args.some(nil)) return null;
  for (const value of args) if (typeof value !== 'string') throw new CommandError(16702, `$concat only supports strings, not ${bsonTypeName(value)}`);
  return args.join('');
};

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

const substrBytes: Run = ([value, start, length], name) => {
  const bytes = Buffer.from(text(value));
  const [from, count] = [wholeNumber(start), wholeNumber(length)];
  if (from === null || count === null) throw new CommandError(16034, `${name}: starting index and length must be numeric`);
  if (from < 0) throw new CommandError(50752, `${name}: starting index must be non-negative (got: ${from})`);
  const end = count < 0 ? bytes.length : Math.min(bytes.length, from + count);
  if (from >= bytes.length) return '';
  if (isContinuation(bytes[from])) throw new CommandError(28656, `${name}: Invalid range, starting index is a UTF-8 continuation byte.`);
  if (isContinuation(bytes[end])) throw new CommandError(28657, `${name}: Invalid range, ending index is in the middle of a UTF-8 character.`);
  return bytes.toString('utf8', from, end);
};

const substrPoints: Run = ([value, start, length], name) => {
  const [from, count] = [position(name, start, 34455), position(name, length, 34454)];
  return Array.from(text(value)).slice(from, from + count).join('');
};

/** `$indexOfBytes` and `$indexOfCP`: over the units that `split` gives. */
function indexOf(split: (value: string) => readonly (string | number)[]): ValueOperator {
  return between(2, 4, ([value, wanted, start, end], name) => {
    if (nil(value)) return null;
    const [points, parts] = [split(requireString(name, value, 40091)), split(requireString(name, wanted, 40092))];
    const from = nil(start) ? 0 : position(name, start, 40097);
    const stop = Math.min(points.length, nil(end) ? points.length : position(name, end, 40097)) - parts.length;
    for (let i = from; i <= stop; i++) if (parts.every((part, j) => points[i + j] === part)) return i;
    return -1;
  });
}

const split: Run = ([value, separator], name) => {
  if (nil(value) || nil(separator)) return null;
  const [whole, by] = [requireString(name, value, 40085), requireString(name, separator, 40086)];
  if (by === '') throw new CommandError(40087, '$split requires a non-empty separator');
  return whole.split(by);
};

const SPACES = new Set(['\0', ' ', '\t', '\n', '\v', '\f', '\r', '\u00a0', '\u1680', ...Array.from({ length: 11 }, (_, i) => String.fromCharCode(0x2000 + i))]);

function trim(left: boolean, right: boolean): ValueOperator {
  return named(([spec], name) => {
    if (!isObject(spec)) throw new CommandError(50696, `${name} only supports an object as an argument, found ${bsonTypeName(spec)}`);
    for (const key in spec) if (key !== 'input' && key !== 'chars') throw new CommandError(50694, `${name} found an unknown argument: ${key}`);
    if (!('input' in spec)) throw new CommandError(50695, `${name} requires an 'input' field`);
    const { input, chars } = spec;
    if (nil(input) || ('chars' in spec && nil(chars))) return null;
    const points = Array.from(requireString(name, input, 50699));
    const gone = chars === undefined ? SPACES : new Set(requireString(name, chars, 50700));
    let [from, to] = [0, points.length];
    if (left) while (from < to && gone.has(points[from]!)) from++;
    if (right) while (to > from && gone.has(points[to - 1]!)) to--;
    return points.slice(from, to).join('');
  });
}

function replace(all: boolean): ValueOperator {
  return named(([spec], name) => {
    if (!isObject(spec)) throw new CommandError(51751, `${name} requires an object as an argument, found: ${bsonTypeName(spec)}`);
    for (const key of ['input', 'find', 'replacement']) if (!(key in spec)) throw new CommandError(51749, `${name} requires '${key}' to be specified`);
    const { input, find, replacement } = spec;
    for (const [value, code] of [[input, 51746], [find, 51745], [replacement, 51744]] as const) if (!nil(value) && typeof value !== 'string') throw new CommandError(code, `${name} requires that its arguments be strings, found: ${bsonTypeName(value)}`);
    if (nil(input) || nil(find) || nil(replacement)) return null;
    const [whole, wanted, by] = [input as string, find as string, replacement as string];
    return all ? whole.replaceAll(wanted, () => by) : whole.replace(wanted, () => by);
  });
}

interface Search {
  input: string;
  pattern: Pattern;
}

/** The text and the pattern of a `$regex...` operator; null when either is null. */
function readSearch(name: string, spec: unknown): Search | null {
  if (!isObject(spec)) throw new CommandError(51103, `${name} expects an object of named arguments but found: ${bsonTypeName(spec)}`);
  for (const key in spec) if (!['input', 'regex', 'options'].includes(key)) throw new CommandError(31024, `${name} found an unknown argument: ${key}`);
  if (!('input' in spec)) throw new CommandError(31022, `${name} requires 'input' parameter`);
  if (!('regex' in spec)) throw new CommandError(31023, `${name} requires 'regex' parameter`);
  const { input, regex, options } = spec;
  if (!nil(input) && typeof input !== 'string') throw new CommandError(51104, `${name} needs 'input' to be of type string`);
  if (!nil(regex) && typeof regex !== 'string' && !(regex instanceof BSONRegExp)) throw new CommandError(51105, `${name} needs 'regex' to be of type string or regex`);
  if (!nil(options) && typeof options !== 'string') throw new CommandError(51106, `${name} needs 'options' to be of type string`);
  if (nil(input) || nil(regex)) return null;
  const [pattern, flags] = typeof regex === 'string' ? [regex, ''] : regexParts(regex);
  if (flags !== '' && !nil(options)) throw new CommandError(51107, `${name}: found regex option(s) specified in both 'regex' and 'option' fields`);
  return { input, pattern: compileRegex(pattern, flags || ((options as string | null | undefined) ?? '')) };
}

/** A match as MongoDB shows it, with its place in code points. */
function shownMatch(before: number, found: RegExpExecArray): Doc {
  return { match: found[0], idx: before, captures: found.slice(1).map((capture) => capture ?? null) };
}

const regexFind: Run = ([spec], name) => {
  const search = readSearch(name, spec);
  const found = search?.pattern.exec(search.input);
  return found ? shownMatch(Array.from(search!.input.slice(0, found.index)).length, found) : null;
};

const regexFindAll: Run = ([spec], name) => {
  const search = readSearch(name, spec);
  if (!search) return [];
  const matches: Doc[] = [];
  for (let at = 0, points = 0; at <= search.input.length; ) {
    const found = search.pattern.exec(search.input, at);
    if (!found) break;
    points += Array.from(search.input.slice(at, found.index)).length;
    matches.push(shownMatch(points, found));
    const step = found[0].length > 0 ? found[0].length : search.input.codePointAt(found.index)! > 0xffff ? 2 : 1;
    points += found[0].length > 0 ? Array.from(found[0]).length : 1;
    at = found.index + step;
  }
  return matches;
};

export const STRING_OPERATORS: Record<string, ValueOperator> = {
  $concat: between(0, MANY, concat), $split: fixed(2, split), $substr: fixed(3, substrBytes), $substrBytes: fixed(3, substrBytes), $substrCP: fixed(3, substrPoints),
  $toUpper: fixed(1, ([value]) => text(value).replaceAll(/[a-z]+/g, (part) => part.toUpperCase())),
  $toLower: fixed(1, ([value]) => text(value).replaceAll(/[A-Z]+/g, (part) => part.toLowerCase())),
  $strcasecmp: fixed(2, ([a, b]) => Math.sign(compare(text(a).toUpperCase(), text(b).toUpperCase()))),
  $strLenBytes: fixed(1, ([value], name) => Buffer.byteLength(requireString(name, value, 34473))), $strLenCP: fixed(1, ([value], name) => Array.from(requireString(name, value, 34471)).length),
  $indexOfBytes: indexOf((value) => [...Buffer.from(value)]), $indexOfCP: indexOf((value) => Array.from(value)),
  $trim: trim(true, true), $ltrim: trim(true, false), $rtrim: trim(false, true), $replaceOne: replace(false), $replaceAll: replace(true),
  $regexMatch: named(([spec], name) => {
    const search = readSearch(name, spec);
    return search !== null && search.pattern.test(search.input);
  }),
  $regexFind: named(regexFind), $regexFindAll: named(regexFindAll),
};
