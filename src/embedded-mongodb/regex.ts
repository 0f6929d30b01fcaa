/** Regular expressions as MongoDB takes them (PCRE), on JavaScript's engine; one that would run away is stopped. */
import { Script } from 'node:vm';
import { endTurn } from './budget.js';
import { CommandError } from './command-error.js';

export interface Pattern {
  /** @throws CommandError 51156 when the search takes too long */
  exec(text: string, from?: number): RegExpExecArray | null;
  test(text: string): boolean;
}

const cache = new Map<string, Pattern>();

/** @throws CommandError 51108 or 51091 when an option or the pattern is not valid */
export function compileRegex(pattern: string, options: string): Pattern {
  const key = `${options}/${pattern}`;
  const known = cache.get(key);
  if (known) return known;
  for (const flag of options) if (!'imsxu'.includes(flag)) throw new CommandError(51108, `invalid flag in regex options: ${flag}`);
  const compiled = guard(translate(pattern, options));
  if (cache.size > 500) cache.clear();
  cache.set(key, compiled);
  return compiled;
}

function translate(pattern: string, options: string): RegExp {
  let source = pattern;
  let flags = new Set(options);
  const inline = /^\(\?([imsx]+)\)/.exec(source);
  if (inline) {
    source = source.slice(inline[0].length);
    flags = new Set([...flags, ...inline[1]!]);
  }
  if (flags.has('x')) source = source.replace(/\\.|\[(?:\\.|[^\]])*\]|\s+|#.*$/gm, (part) => (/^[\s#]/.test(part) ? '' : part));
  const translated = toJavaScript(source, flags);
  const kept = ['i', 'm', 's'].filter((flag) => flags.has(flag)).join('');
  try {
    return new RegExp(translated, `${kept}u`);
  } catch {
    try {
      return new RegExp(translated, kept);
    } catch (error) {
      throw new CommandError(51091, `Regular expression is invalid: ${(error as Error).message}`);
    }
  }
}

const OUTSIDE: Record<string, string> = { '\\A': '(?<![^])', '\\z': '(?![^])', '\\Z': '(?=\\n?(?![^]))', '\\h': '[ \\t]', '\\s': '[ \\t\\n\\v\\f\\r]', '\\S': '[^ \\t\\n\\v\\f\\r]', '\\R': '(?:\\r\\n|[\\n\\v\\f\\r])', '(?P<': '(?<' };
const INSIDE: Record<string, string> = {
  '\\h': ' \\t', '\\s': ' \\t\\n\\v\\f\\r', '[:alpha:]': 'a-zA-Z', '[:digit:]': '0-9', '[:alnum:]': 'a-zA-Z0-9', '[:upper:]': 'A-Z', '[:lower:]': 'a-z', '[:space:]': ' \\t\\n\\v\\f\\r',
  '[:word:]': '\\w', '[:xdigit:]': '0-9a-fA-F', '[:blank:]': ' \\t', '[:punct:]': '!-\\/:-@\\[-`\\{-~', '[': '\\[',
};
const PARTS = /\\Q([^]*?)(?:\\E|$)|\\E|\\[^]|\[:\w+:\]|\(\?P<|\[\^?\]?|[^]/gu;

/** What the two engines write differently: anchors, the dot, spaces, POSIX classes, quoting. */
function toJavaScript(source: string, flags: ReadonlySet<string>): string {
  let inClass = false;
  return source.replaceAll(PARTS, (part: string, quoted: string | undefined) => {
    if (part.startsWith('\\Q')) return (quoted ?? '').replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
    if (part === '\\E') return '';
    if (inClass) {
      if (part === ']') inClass = false;
      return part.startsWith('[') && !(part in INSIDE) ? `\\${part}` : (INSIDE[part] ?? part);
    }
    if (part.startsWith('[') && !part.startsWith('[:')) {
      inClass = true;
      return part.endsWith(']') ? `${part.slice(0, -1)}\\]` : part;
    }
    if (part === '.' && !flags.has('s')) return '[^\\n]';
    if (part === '$' && !flags.has('m')) return OUTSIDE['\\Z']!;
    return OUTSIDE[part] ?? part;
  });
}

/** How the time of a search may grow with the text: as a power of its length, or exponentially. */
function growth(source: string): number {
  const groups = [{ repeats: false, chooses: false }];
  let degree = source.startsWith('^') ? 0 : 1;
  let exponential = /\\[1-9]|\\k</.test(source);
  const plain = source.replaceAll(/\\[^]/g, 'a').replaceAll(/\[[^\]]*\]/g, 'a');
  for (let i = 0; i < plain.length; i++) {
    const char = plain[i]!;
    if (char === '(') groups.push({ repeats: false, chooses: false });
    else if (char === '|') groups.at(-1)!.chooses = true;
    else if (char === ')' || char === '*' || char === '+' || char === '{') {
      const closed = char === ')' && groups.length > 1 ? groups.pop()! : null;
      const repeated = /^(?:[*+]|\{\d+,\}|\{\d+,\d{2,}\}|\{\d{2,}\})/.test(plain.slice(closed ? i + 1 : i));
      if (repeated && closed && (closed.repeats || closed.chooses)) exponential = true;
      if (repeated && !closed) degree++;
      if (repeated || closed?.repeats) groups.at(-1)!.repeats = true;
    }
  }
  return exponential ? Infinity : degree;
}

/** What is sure to end soon: about this many steps. */
const FREE_STEPS = 1_000_000;
const FREE_LENGTH = 12;
const SEARCH_MS = 250;

/** Searches that could take long run under a watch that can stop them. */
function guard(regex: RegExp): Pattern {
  const degree = growth(regex.source);
  const free = degree === Infinity ? FREE_LENGTH : degree <= 1 ? Infinity : FREE_STEPS ** (1 / degree);
  const onward = new RegExp(regex.source, `${regex.flags}g`);
  return {
    exec: (text, from = 0) => {
      onward.lastIndex = from;
      return text.length <= free ? onward.exec(text) : watched(onward, text);
    },
    test: (text) => (text.length <= free ? regex.test(text) : watched(regex, text) !== null),
  };
}

const job: { regex: RegExp; text: string } = { regex: /a/, text: '' };
const ENTRY = Symbol.for('embedded-mongodb.search');
Object.defineProperty(globalThis, ENTRY, { value: () => job.regex.exec(job.text) });
const search = new Script("globalThis[Symbol.for('embedded-mongodb.search')]()");

function watched(regex: RegExp, text: string): RegExpExecArray | null {
  job.regex = regex;
  job.text = text;
  const startedAt = performance.now();
  try {
    return search.runInThisContext({ timeout: SEARCH_MS }) as RegExpExecArray | null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new CommandError(51156, 'Error occurred while executing a regular expression: it takes too many steps on this text. Make it simpler: avoid repetitions within repetitions.');
  } finally {
    if (performance.now() - startedAt > 2) endTurn();
  }
}
