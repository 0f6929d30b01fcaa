/** What a herd is measured by: speed, lateness, CPU and memory, of the process that works and of the server that stores. */
import { readFileSync } from 'node:fs';

export interface HerdFigures {
  /** Handled posts per second since they were due. */
  perSecond: number;
  /** From the due time to the start of the handler. */
  lagP50Ms: number;
  lagP99Ms: number;
  lagMaxMs: number;
  /** Of the working process, and of the database (or Redis) beside it. */
  cpuSecondsPer1000: number;
  serverCpuSecondsPer1000: number;
  peakMib: number;
  serverPeakMib: number;
}

export interface HerdMeasure {
  /** The handler of one post begins. */
  started(): void;
  /** All are handled. */
  finish(): HerdFigures;
}

/** Linux counts processes' time in these; it has been 100 on every machine for decades. */
const TICKS_PER_SECOND = 100;

/** Begins to count CPU time now. */
export function measureHerd(posts: number, due: Date, serverPid: number): HerdMeasure {
  const lags: number[] = [];
  const before = { own: process.cpuUsage(), server: cpuSecondsOf(serverPid) };
  return {
    started() {
      lags.push(Date.now() - due.getTime());
    },
    finish() {
      const tookMs = Math.max(1, Date.now() - due.getTime());
      const own = process.cpuUsage(before.own);
      const thousands = posts / 1_000;
      return {
        perSecond: (posts * 1_000) / tookMs,
        ...lagsOf(lags),
        cpuSecondsPer1000: (own.user + own.system) / 1e6 / thousands,
        serverCpuSecondsPer1000: (cpuSecondsOf(serverPid) - before.server) / thousands,
        peakMib: process.resourceUsage().maxRSS / 1_024,
        serverPeakMib: peakMibOf(serverPid),
      };
    },
  };
}

function lagsOf(lags: number[]): Pick<HerdFigures, 'lagP50Ms' | 'lagP99Ms' | 'lagMaxMs'> {
  return { lagP50Ms: percentile(lags, 0.5), lagP99Ms: percentile(lags, 0.99), lagMaxMs: percentile(lags, 1) };
}

export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** CPU time of another process so far; NaN where the system doesn't tell. */
export function cpuSecondsOf(pid: number): number {
  try {
    // The name in brackets may hold blanks; user and system time are the 14th and 15th field.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

function peakMibOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
  } catch {
    return Number.NaN;
  }
}
