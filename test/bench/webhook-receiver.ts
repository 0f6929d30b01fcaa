/** A receiver in a process of its own for the webhooks' bench: counts, notes when each webhook came, never answers on `/dead/...`, and may be down on `/backlog/...`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceiverReport {
  requests: number;
  /** `webhook-id` to when it came (ms of the epoch). */
  arrivals: [string, number][];
  /** Most requests under way at once to one path. */
  mostAtOnce: number;
  /** Most requests under way at once. */
  mostInAll: number;
}

/** `report` asks for a report and starts afresh, `count` for the requests so far; `down` and `up` say whether `/backlog/...` answers 503. */
export type ReceiverOrder = 'report' | 'count' | 'down' | 'up';

const nothing = (): ReceiverReport => ({ requests: 0, arrivals: [], mostAtOnce: 0, mostInAll: 0 });

let report = nothing();
let isDown = false;
let inAll = 0;
const underWay = new Map<string, number>();

const server = createServer((req, res) => {
  const path = req.url ?? '';
  const isDead = path.startsWith('/dead');
  const now = (underWay.get(path) ?? 0) + 1;
  underWay.set(path, now);
  if (!isDead) inAll += 1;
  report.mostAtOnce = Math.max(report.mostAtOnce, now);
  report.mostInAll = Math.max(report.mostInAll, inAll);
  report.requests += 1;
  report.arrivals.push([String(req.headers['webhook-id']), performance.timeOrigin + performance.now()]);
  req.resume();
  res.on('close', () => {
    underWay.set(path, (underWay.get(path) ?? 1) - 1);
    if (!isDead) inAll -= 1;
  });
  if (isDead) return;
  if (isDown && path.startsWith('/backlog')) res.statusCode = 503;
  // A backlog's receiver takes its time, so that requests meet.
  req.on('end', () => (path.startsWith('/backlog') ? setTimeout(() => res.end('ok'), 5) : res.end('ok')));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on('disconnect', () => process.exit(0));
process.on('message', (order: ReceiverOrder) => {
  if (order === 'count') return void process.send?.({ count: report.requests });
  if (order !== 'report') {
    isDown = order === 'down';
    return void process.send?.({});
  }
  process.send?.({ report });
  report = nothing();
});
