/** Tells whether a lease certainly still holds, and keeps an adapter from calling its network when it may not: a process that was frozen learns of nothing. */
import { PlatformFailure, type PlatformIo } from '../platforms/platform.js';

export interface LeaseWatch {
  /** False for good once the lease may have run out: another worker may have taken the post over. */
  isSafe(): boolean;
  /** The database has answered a renewal until then. It counts only if the lease held all the while. */
  renewed(until: Date): void;
}

/** Clocks may differ by 2 s, and a request has to reach its network. */
const MARGIN_MS = 15_000;

/** @param now the clock that leases are written by; a second one, which nobody sets, sees when that one was set back */
export function watchLease(until: Date, now: () => Date): LeaseWatch {
  let endsAt = until.getTime();
  let ticksEnd = performance.now() + endsAt - now().getTime();
  let hasRunOut = false;

  function leftMs(): number {
    return Math.min(endsAt - now().getTime(), ticksEnd - performance.now());
  }

  return {
    isSafe() {
      hasRunOut ||= leftMs() <= 0;
      return !hasRunOut && leftMs() > MARGIN_MS;
    },
    renewed(next) {
      hasRunOut ||= leftMs() <= 0;
      endsAt = next.getTime();
      ticksEnd = performance.now() + endsAt - now().getTime();
    },
  };
}

/** @returns `io` for one call that makes something public: it begins no request any more when the lease may be another's */
export function fenced(io: PlatformIo, isSafe: () => boolean): PlatformIo {
  let hasBegun = false;
  const request: PlatformIo['http']['request'] = (config) => {
    if (!isSafe()) {
      throw hasBegun
        ? new PlatformFailure('unknown', 'Signpost was held up in the middle of this attempt, so the post may or may not be public.')
        : new PlatformFailure('unreachable', 'Signpost was held up before this attempt could begin. Nothing was sent; it tries again by itself.');
    }
    hasBegun = true;
    return io.http.request(config);
  };
  return {
    ...io,
    get http() {
      return new Proxy(io.http, { get: (client, name) => (name === 'request' ? request : (Reflect.get(client, name) as unknown)) });
    },
  };
}
