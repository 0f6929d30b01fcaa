/** An uploaded file: its shape, its states, its address, and the pure rules about them. */
import type { FileType } from './file-type.js';

/**
 * announced: somebody may send it to an upload address. pending: its bytes are being put in place. stored: it is there and has an address.
 * deleting: it is gone for everybody; its bytes and its room are being given back.
 */
export type MediaState = 'announced' | 'pending' | 'stored' | 'deleting';

export interface MediaFile {
  /** 40 hex digits that nobody can guess: id, name on disk and part of the public address. */
  id: string;
  accountId: string;
  profileId: string;
  state: MediaState;
  fileName: string;
  description: string;
  type: FileType;
  bytes: number;
  /** As far as the file says. */
  shape: MediaShape;
  createdAt: Date;
  /** Deleted then, unless a post that waits uses it. */
  expiresAt: Date;
}

export interface MediaShape {
  width?: number;
  height?: number;
  durationMs?: number;
}

const ID = '[0-9a-f]{40}';
const PATH = new RegExp(`/media/(${ID})\\.[a-z0-9]{3,4}$`);
const PATHS = new RegExp(`/media/(${ID})\\.[a-z0-9]{3,4}`, 'g');

/** @returns the path below the public address, e.g. `/media/0123….jpg` */
export function pathOf({ id, type }: Pick<MediaFile, 'id' | 'type'>): string {
  return `/media/${id}.${type.extension}`;
}

/** @returns the id that an address of an upload has in it, whatever host it names; null for every other address */
export function mediaIdIn(url: string): string | null {
  if (!url.includes('/media/') || !URL.canParse(url)) return null;
  return PATH.exec(new URL(url).pathname)?.[1] ?? null;
}

/** Ids of every upload that is named anywhere in this, each once. */
export function mediaIdsIn(content: unknown): string[] {
  const text = JSON.stringify(content) ?? '';
  // Most posts name none, and this is asked of every one.
  if (!text.includes('/media/')) return [];
  return [...new Set([...text.matchAll(PATHS)].map((match) => match[1]!))];
}

const LONGEST_NAME = 200;

/** The last part of a path, without what can't be seen or would mislead; it is shown, and never used as a path. */
export function readFileName(raw: string, fallback: string): string {
  const last = raw.split(/[/\\]/).at(-1) ?? '';
  const clean = last.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').replace(/\s+/g, ' ').trim();
  const short = [...clean].slice(0, LONGEST_NAME).join('');
  return short === '' || /^\.+$/.test(short) ? fallback : short;
}
