/** A receiver in a process of its own for the webhooks' bench: counts, notes when each webhook came, and lets `/dead/...` hang. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceiverReport {
  requests: number;
  /** `webhook-id` to when it came (ms of the epoch), for those that were asked to be noted. */
  arrivals: [string, number][];
  /** Most requests under way at once to one path. */
  mostAtOnce: number;
}

/** `report` asks for a report and starts afresh, `count` for the requests so far; `dead` and `alive` say what `/dead/...` does. */
export type ReceiverOrder = 'report' | 'count' | 'dead' | 'alive';

let report: ReceiverReport = { requests: 0, arrivals: [], mostAtOnce: 0 };
let isDead = false;
const underWay = new Map<string, number>();

const server = createServer((req, res) => {
  const path = req.url ?? '';
  const now = (underWay.get(path) ?? 0) + 1;
  underWay.set(path, now);
  report.mostAtOnce = Math.max(report.mostAtOnce, now);
  report.requests += 1;
  report.arrivals.push([String(req.headers['webhook-id']), performance.timeOrigin + performance.now()]);
  req.resume();
  res.on('close', () => underWay.set(path, (underWay.get(path) ?? 1) - 1));
  if (isDead && path.startsWith('/dead')) return;
  // A backlog's receiver takes its time, so that requests meet.
  req.on('end', () => (path.startsWith('/backlog') ? setTimeout(() => res.end('ok'), 5) : res.end('ok')));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on('disconnect', () => process.exit(0));
process.on('message', (order: ReceiverOrder) => {
  if (order === 'count') return void process.send?.({ count: report.requests });
  if (order !== 'report') {
    isDead = order === 'dead';
    if (!isDead) server.closeAllConnections();
    process.send?.({});
    return;
  }
  process.send?.({ report });
  report = { requests: 0, arrivals: [], mostAtOnce: 0 };
});
