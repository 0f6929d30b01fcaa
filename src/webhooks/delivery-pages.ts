/** The delivery log and a delivery's page: request, response, every attempt, the next one, and sending again. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { goTo } from '../http/forms.js';
import { readQuery } from '../http/input.js';
import { sse } from '../http/live.js';
import { flash, render, renderText } from '../http/render.js';
import type { Actor } from '../lib/actor.js';
import { AppError } from '../lib/app-error.js';
import type { Notifier } from '../lib/notifier.js';
import type { Delivery, DeliveryState } from './delivery.js';
import type { DeliveryService } from './delivery-service.js';
import type { DeliveryRow } from './delivery-doc.js';
import type { DeliveryFilter } from './delivery-log-store.js';
import { AYRSHARE_ACTIONS } from './endpoint.js';
import { deliveryQuery, readId, type DeliveryQuery } from './endpoint-schemas.js';
import type { EndpointService } from './endpoint-service.js';
import { durationText } from './duration.js';
import { PUBLIC_EVENT_TYPES } from './event.js';

export interface DeliveryPagesDeps {
  deliveries: DeliveryService;
  endpoints: EndpointService;
  notifier: Notifier;
}

const PAGE = 30;
const LIVE_EVERY_MS = 2_000;
const WITHIN_MS = { '24h': 24 * 3_600_000, '7d': 7 * 24 * 3_600_000, '30d': 30 * 24 * 3_600_000 } as const;
/** What people ask for, in the log's own words. */
const STATES: Record<Exclude<DeliveryQuery['state'], undefined>, DeliveryState[]> = {
  waiting: ['waiting'], sending: ['sending'], delivered: ['delivered'], failed: ['failed'], cancelled: ['cancelled'], skipped: ['skipped'], retrying: ['waiting', 'sending'],
};

/** Mounted at `/`, behind sign-in, before the endpoints' pages. */
export function deliveryPages(deps: DeliveryPagesDeps): Router {
  const router = Router();
  router.get('/webhooks/deliveries', (req, res) => list(deps, req, res));
  router.get('/webhooks/numbers', (req, res) => numbers(deps, req, res));
  router.get('/webhooks/deliveries/:id', (req, res) => show(deps, req, res));
  router.get('/webhooks/deliveries/:id/live', (req, res) => live(deps, req, res));
  router.post('/webhooks/deliveries/:id/resend', (req, res) => resend(deps, req, res));
  return router;
}

async function list({ deliveries, endpoints }: DeliveryPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const query = readQuery(req, deliveryQuery);
  const [rows, known] = await Promise.all([deliveries.list(actor, toFilter(query)), endpoints.list(actor)]);
  const page = rows.slice(0, PAGE);
  const last = rows.length > PAGE ? page.at(-1) : undefined;
  render(res, 'webhooks/deliveries', {
    duration: durationText,
    retentionDays: deliveries.retentionDays, deliveries: page, endpoints: known, query, events: [...AYRSHARE_ACTIONS, ...PUBLIC_EVENT_TYPES], states: Object.keys(STATES),
    isFiltered: Object.entries(query).some(([name, value]) => name !== 'before' && value !== undefined && value !== ''),
    newer: query.before === undefined ? null : address({ ...query, before: undefined }),
    older: last === undefined ? null : address({ ...query, before: `${last.createdAt.getTime()}-${last.id}` }),
  });
}

async function numbers({ deliveries, endpoints }: DeliveryPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { within = '24h' } = readQuery(req, deliveryQuery);
  const [stats, known] = await Promise.all([deliveries.stats(actor, WITHIN_MS[within]), endpoints.list(actor)]);
  const log = (query: Partial<DeliveryQuery>) => address({ text: undefined, ...query, within });
  const named = [...stats.byEndpoint].map(([id, its]) => {
    const endpoint = known.find((one) => one.id === id);
    return { label: endpoint === undefined ? `${id} (removed)` : endpoint.name || endpoint.url, href: log({ endpoint: id }), numbers: its };
  });
  const byEvent = [...stats.byEvent].map(([event, its]) => ({ label: event, href: log({ event: event as DeliveryQuery['event'] }), numbers: its }));
  const most = (a: { numbers: { deliveries: number } }, b: { numbers: { deliveries: number } }) => b.numbers.deliveries - a.numbers.deliveries;
  render(res, 'webhooks/numbers', { within, stats, byEndpoint: named.sort(most), byEvent: byEvent.sort(most), hasEndpoints: known.length > 0, duration: durationText });
}

function toFilter(query: DeliveryQuery): Omit<DeliveryFilter, 'accountId'> {
  const filter: Omit<DeliveryFilter, 'accountId'> = { limit: PAGE + 1 };
  if (query.state !== undefined) filter.states = STATES[query.state];
  if (query.endpoint !== undefined) filter.endpointId = query.endpoint;
  if (query.event !== undefined) filter.event = query.event;
  if (query.within !== undefined) filter.from = new Date(Date.now() - WITHIN_MS[query.within]);
  if (query.text !== undefined) filter.text = query.text;
  const before = /^(\d{1,15})-(dlv_[0-9a-f]{32})$/.exec(query.before ?? '');
  if (before !== null) filter.before = { createdAt: new Date(Number(before[1])), id: before[2]! };
  return filter;
}

function address(query: DeliveryQuery): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '');
  return `/webhooks/deliveries${given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`}`;
}

function idOf(req: Request): string {
  return readId(req.params);
}

/** Changes with everything that the page shows. */
function version(delivery: Delivery): string {
  return `${delivery.state}-${delivery.attemptCount}-${delivery.dueAt?.getTime() ?? 0}`;
}

function model(delivery: Delivery, { hasEndpoint, waitsBehind }: Around): object {
  const isOpen = delivery.state === 'waiting' || delivery.state === 'sending';
  return { delivery, hasEndpoint, waitsBehind, isOpen, attempts: delivery.attempts.toReversed(), prettyBody: pretty(delivery.body), curl: curlOf(delivery), version: version(delivery), title: 'Delivery' };
}

/** What its page tells beside the delivery itself. */
interface Around {
  hasEndpoint: boolean;
  waitsBehind: DeliveryRow | null;
}

async function aroundOf({ deliveries, endpoints }: DeliveryPagesDeps, actor: Actor, delivery: Delivery): Promise<Around> {
  const [hasEndpoint, waitsBehind] = await Promise.all([endpoints.exists(actor, delivery.endpointId), deliveries.waitsBehind(delivery)]);
  return { hasEndpoint, waitsBehind };
}

async function show(deps: DeliveryPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const delivery = await deps.deliveries.get(actor, idOf(req));
  render(res, 'webhooks/delivery', model(delivery, await aroundOf(deps, actor, delivery)));
}

async function live(deps: DeliveryPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const id = idOf(req);
  const { deliveries, notifier } = deps;
  let latest = await deliveries.get(actor, id);
  sse(req, res, {
    subscribe: (listener) => notifier.subscribe(`delivery:${id}`, listener),
    everyMs: LIVE_EVERY_MS,
    shown: req.query['version'] === version(latest) ? version(latest) : undefined,
    read: async () => {
      latest = await deliveries.get(actor, id);
      return version(latest);
    },
    fragment: async () => renderText(req, 'webhooks/_delivery', model(latest, await aroundOf(deps, actor, latest))),
  });
}

async function resend({ deliveries }: DeliveryPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  try {
    await deliveries.resend(actorOf(req), id);
    flash(req, 'info', 'It is sent once more, with the same webhook-id: receivers that remember ids see a repeat.');
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
    flash(req, 'warning', error.message);
  }
  goTo(req, res, `/webhooks/deliveries/${id}`);
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

/** The last request again, for a shell; null while there is none. */
function curlOf(delivery: Delivery): string | null {
  const last = delivery.attempts.findLast(({ requestHeaders }) => Object.keys(requestHeaders).length > 0);
  if (last === undefined) return null;
  const headers = Object.entries(last.requestHeaders).map(([name, value]) => `  -H ${quote(`${name}: ${value}`)}`);
  return [`curl -X POST ${quote(last.url)}`, ...headers, `  --data-raw ${quote(delivery.body)}`].join(' \\\n');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
