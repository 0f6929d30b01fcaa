/** Reads a media file from its public address, for networks that want an upload: bounded in size and time, each hop judged anew. */
import type { AxiosInstance } from 'axios';
import { BLOCKED_ADDRESS } from '../lib/http-connector.js';
import { ErrorCode } from '../lib/app-error.js';
import { checkFile } from './check-content.js';
import { rejected } from './failures.js';
import { mediaFactsOf } from './media-facts.js';
import { mediaTypeOf } from './media-kind.js';
import { PlatformFailure, type MediaBytes, type MediaItem, type Platform } from './platform.js';

/** Files are held in memory while they are sent on. */
export const MOST_BYTES = 256_000_000;
/** And at most a third of what the platform may take for all of it, so that there is time to send the file on. */
const LONGEST_MS = 120_000;
const MOST_HOPS = 4;

/** Files that this process has by itself, of which only uploads are such. */
export type ReadOwn = (url: string, maxBytes: number) => Promise<MediaBytes | null>;

const NONE: ReadOwn = () => Promise.resolve(null);

const GENERIC = new Set(['', 'application/octet-stream', 'binary/octet-stream']);

/**
 * @param http a client that refuses to dial what is not public: the address was typed by a user
 * @param readOwn is asked first
 * @throws PlatformFailure `rejected` when the file isn't there, isn't public or breaks the platform's rules; `unreachable` when it may be there later
 */
export async function readMediaOf(platform: Platform, item: MediaItem, http: AxiosInstance, readOwn: ReadOwn = NONE): Promise<MediaBytes> {
  const maxBytes = limitOf(platform, item);
  if ((item.facts?.bytes ?? 0) > maxBytes) throw tooLarge(item, maxBytes);
  const own = await readOwn(item.url, maxBytes);
  const { type, data } = own === null ? await fetchFile(item, { http, maxBytes, timeoutMs: Math.min(LONGEST_MS, platform.publishTimeoutMs / 3) }) : { type: own.contentType, data: own.data };
  if (type.startsWith('text/html')) throw rejected('The address of a media file leads to a web page. Use the address of the file itself.', { details: item.url });
  const contentType = GENERIC.has(type) ? mediaTypeOf(item.url, item.kind) : type;
  const [problem] = checkFile(platform, { ...item, facts: mediaFactsOf(data, contentType) });
  if (problem !== undefined) throw rejected(problem, { details: item.url });
  return { data, contentType };
}

interface Reading {
  http: AxiosInstance;
  maxBytes: number;
  timeoutMs: number;
}

async function fetchFile(item: MediaItem, reading: Reading): Promise<{ type: string; data: Uint8Array }> {
  let url = item.url;
  for (let hop = 0; hop < MOST_HOPS; hop++) {
    const answer = await get(url, item, reading);
    const { location } = answer.headers;
    if (answer.status >= 300 && answer.status < 400 && location !== undefined && URL.canParse(location, url)) {
      url = new URL(location, url).href;
      continue;
    }
    if (answer.status === 200) return { type: (answer.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase(), data: answer.data };
    if (answer.status >= 500 || answer.status === 429 || answer.status === 408) throw later(item, `HTTP ${answer.status}`);
    throw rejected(`A media file can't be read: its address answers ${answer.status}. Check that it is public.`, { details: item.url, code: ErrorCode.mediaRule });
  }
  throw rejected("A media file can't be read: its address leads on and on. Use the address of the file itself.", { details: item.url, code: ErrorCode.mediaRule });
}

async function get(url: string, item: MediaItem, { http, maxBytes, timeoutMs }: Reading): Promise<{ status: number; headers: Record<string, string>; data: Uint8Array }> {
  try {
    const response = await http.get<Uint8Array>(url, { responseType: 'arraybuffer', timeout: timeoutMs, maxContentLength: maxBytes, maxRedirects: 0, validateStatus: () => true, repeatable: true });
    return { status: response.status, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), String(value)])), data: response.data };
  } catch (error) {
    const code = error instanceof Error ? String((error as NodeJS.ErrnoException).code ?? error.name) : 'error';
    if (code === BLOCKED_ADDRESS || code === 'ERR_INVALID_URL') throw rejected('The address of a media file is not on the public internet. Use one that is.', { details: item.url, code: ErrorCode.mediaRule });
    if (error instanceof Error && /maxContentLength/.test(error.message)) throw tooLarge(item, maxBytes);
    if (code === 'ENOTFOUND') throw rejected("There is no such host as in a media file's address. Check the address.", { details: item.url, code: ErrorCode.mediaRule });
    throw later(item, code);
  }
}

function tooLarge(item: MediaItem, maxBytes: number): PlatformFailure {
  return rejected(`A media file is too large: at most ${Math.floor(maxBytes / 1_000_000)} MB. Use a smaller one.`, { details: item.url, code: ErrorCode.mediaRule });
}

function later(item: MediaItem, why: string): PlatformFailure {
  return new PlatformFailure('unreachable', `A media file can't be read right now (${why}). Nothing was published; Signpost tries again by itself.`, { code: ErrorCode.platformUnreachable, details: item.url });
}

function limitOf({ limits: { media } }: Platform, { kind }: MediaItem): number {
  const rule = kind === 'image' ? media.image : kind === 'video' ? media.video : media.document;
  return Math.min(rule?.maxBytes ?? MOST_BYTES, MOST_BYTES);
}
