/** Server-sent events: a page's fragment is sent again whenever what it shows has changed. */
import type { Application, Request, Response } from 'express';

export interface LiveSource {
  /** Calls the listener when something may have changed in this process; returns the end of the subscription. */
  subscribe(listener: () => void): () => void;
  /** How often `read` is asked besides, because other processes can't notify this one; milliseconds. */
  everyMs: number;
  /**
   * Cheap: a version, a time stamp or a hash of what is shown. Null says that nothing will change any more: the stream sends the event
   * `end` and closes. Name it in the view with `hx-sse:close="end"`, or htmx connects again.
   */
  read(): Promise<string | null>;
  /** The fragment, asked for only when `read` changed. */
  fragment(): Promise<string>;
  /** Name of the event; without one htmx swaps the fragment into the element that listens. */
  event?: string;
  /** What the page showed at first (`read()` when it was rendered), so that the first fragment comes only if it changed since. */
  shown?: string;
}

const HEARTBEAT_MS = 20_000;
/** After this long the browser has to connect again, and with that to show that it is still signed in. */
const LONGEST_MS = 15 * 60_000;

/** Streams until the browser leaves, `read` says null, or Signpost shuts down. */
export function sse(req: Request, res: Response, source: LiveSource): void {
  res.status(200).set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  if (req.method === 'HEAD') return void res.end();
  res.flushHeaders();
  res.write('retry: 2000\n\n');
  // A browser that connects again says what it was sent last: the address still names what the page showed at first.
  let last = req.get('last-event-id') || (source.shown ?? null);
  let busy = false;
  let again = false;

  const look = async (): Promise<void> => {
    if (busy) return void (again = true);
    // A slow connection gets what is new when it has read what it was sent, and nothing of what was between.
    if (res.writableNeedDrain) return;
    busy = true;
    try {
      do {
        again = false;
        const version = await source.read();
        if (version === null) {
          res.write('event: end\ndata:\n\n');
          return end();
        }
        if (version === last) continue;
        const fragment = await source.fragment();
        last = version;
        if (res.writable) res.write(message(fragment, version, source.event));
      } while (again && !res.writableNeedDrain);
    } catch (error) {
      req.log?.warn({ err: error }, 'live update failed');
      end(); // the browser connects again by itself
    } finally {
      busy = false;
    }
  };

  const unsubscribe = source.subscribe(() => void look());
  const poll = setInterval(() => void look(), source.everyMs);
  res.on('drain', () => void look());
  const heartbeat = setInterval(() => res.writableNeedDrain || res.write(': still here\n\n'), HEARTBEAT_MS);
  const longest = setTimeout(() => end(), LONGEST_MS);
  const streams = openStreams(req.app);
  const end = (): void => {
    clearInterval(poll);
    clearInterval(heartbeat);
    clearTimeout(longest);
    unsubscribe();
    streams.delete(end);
    if (!res.writableEnded) res.end();
  };
  streams.add(end);
  res.on('close', end);
  void look();
}

/** Ends every stream, so that the server can close. */
export function endLiveStreams(app: Application): void {
  for (const end of openStreams(app)) end();
}

function openStreams(app: Application): Set<() => void> {
  const locals = app.locals as { liveStreams?: Set<() => void> };
  locals.liveStreams ??= new Set();
  return locals.liveStreams;
}

function message(data: string, version: string, event: string | undefined): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join('');
  return `${event === undefined ? '' : `event: ${event}\n`}id: ${version}\n${lines}\n`;
}
