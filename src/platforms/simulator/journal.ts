/** An append-only file of JSON lines: what was answered survives a crash of the process, a torn last line is dropped. */
import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

export interface Journal {
  /** How many records were there at the start. */
  readonly replayed: number;
  /** Written to the file (handed to the operating system) when this returns. @throws when it can't be; then nothing of it is there */
  append(record: unknown): void;
  close(): void;
}

/**
 * @param apply is called with each record that is there already, in order
 * @throws Error when the file can't be opened, or a line other than the last is damaged
 */
export function openJournal(file: string, apply: (record: unknown) => void): Journal {
  mkdirSync(path.dirname(file), { recursive: true });
  let replayed = 0;
  const counted = (record: unknown): void => {
    replayed++;
    apply(record);
  };
  const whole = existsSync(file) ? replay(readFileSync(file), file, counted) : 0;
  const fd = openSync(file, 'a+', 0o600);
  ftruncateSync(fd, whole);
  let size = whole;
  let isOpen = true;
  return {
    replayed,
    append(record) {
      if (!isOpen) throw new Error('The simulator has stopped.');
      const line = Buffer.from(`${JSON.stringify(record)}\n`);
      try {
        for (let written = 0; written < line.length; ) written += writeSync(fd, line, written);
      } catch (error) {
        // A full disk took a part of it, which the next line must not be added to.
        ftruncateSync(fd, size);
        throw error;
      }
      size += line.length;
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      closeSync(fd);
    },
  };
}

/** Replaces the file by these records: whole or not at all, whatever happens meanwhile. Only while nobody has it open. */
export function rewriteJournal(file: string, records: Iterable<unknown>): void {
  const fresh = `${file}.new`;
  const fd = openSync(fresh, 'w', 0o600);
  for (const record of records) writeSync(fd, `${JSON.stringify(record)}\n`);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(fresh, file);
}

/** @returns how many bytes are whole lines */
function replay(data: Buffer, file: string, apply: (record: unknown) => void): number {
  let start = 0;
  for (let line = 1; ; line++) {
    const end = data.indexOf(0x0a, start);
    if (end === -1) return start;
    try {
      apply(JSON.parse(data.toString('utf8', start, end)));
    } catch (cause) {
      if (end === data.length - 1) return start;
      throw new Error(`Line ${line} of ${file} is damaged. Move the file away to start the simulated networks from nothing.`, { cause });
    }
    start = end + 1;
  }
}
