/** Signpost's own API for webhooks, below `/api`: endpoints, deliveries, events, and the check of a signature. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { readBody, readQuery } from '../http/input.js';
import { RECOVERABLE, type Delivery } from './delivery.js';
import type { DeliveryService } from './delivery-service.js';
import type { DeliveryRow } from './delivery-doc.js';
import { MASK } from './custom-headers.js';
import type { Endpoint } from './endpoint.js';
import { readId } from './endpoint-schemas.js';
import type { EndpointService } from './endpoint-service.js';
import type { EventInput } from './event.js';
import { CATALOGUE } from './event-catalogue.js';
import type { EventStore } from './event-store.js';
import { buildPayload } from './payload.js';
import type { RecoveryService } from './recovery.js';
import { apiChangeEndpoint, apiNewEndpoint, apiRecover, apiRotate, deliveriesQuery, eventsQuery, statsQuery, verifyInput } from './webhook-api-schemas.js';

export interface WebhookApiDeps {
  endpoints: EndpointService;
  deliveries: DeliveryService;
  recovery: RecoveryService;
  events: Pick<EventStore, 'list' | 'findMany'>;
}

export function webhookApi(deps: WebhookApiDeps): Router {
  const { endpoints, deliveries, recovery } = deps;
  const router = Router();
  const one = '/webhooks/endpoints/:id';
  router.get('/webhooks/endpoints', async (req, res) => void res.json({ status: 'success', endpoints: (await endpoints.list(actorOf(req))).map(endpointRow) }));
  router.post('/webhooks/endpoints', (req, res) => create(deps, req, res));
  router.get(one, async (req, res) => void res.json({ status: 'success', endpoint: endpointRow(await endpoints.get(actorOf(req), readId(req.params))) }));
  router.patch(one, (req, res) => change(deps, req, res));
  router.delete(one, async (req, res) => {
    await endpoints.remove(actorOf(req), readId(req.params));
    res.json({ status: 'success', id: req.params.id });
  });
  router.post(`${one}/test`, async (req, res) => void res.json({ status: 'success', delivery: await endpoints.test(actorOf(req), readId(req.params)) }));
  router.post(`${one}/rotate`, async (req, res) => {
    const { endpoint, secret } = await endpoints.rotate(actorOf(req), readId(req.params), readBody(req, apiRotate).overlapHours);
    res.set('Cache-Control', 'no-store').json({ status: 'success', endpoint: endpointRow(endpoint), secret });
  });
  router.post(`${one}/recover`, async (req, res) => {
    const { since } = readBody(req, apiRecover);
    res.status(202).json({ status: 'success', recovery: await recovery.start(actorOf(req), readId(req.params), since) });
  });
  router.get('/webhooks/stats', (req, res) => stats(deps, req, res));
  router.get('/webhooks/deliveries', (req, res) => listDeliveries(deps, req, res));
  router.get('/webhooks/deliveries/:id', async (req, res) => void res.json({ status: 'success', delivery: deliveryFull(await deliveries.get(actorOf(req), readId(req.params))) }));
  router.post('/webhooks/deliveries/:id/resend', async (req, res) => {
    await deliveries.resend(actorOf(req), readId(req.params));
    res.status(202).json({ status: 'success', id: req.params.id });
  });
  router.get('/events/types', (_req, res) => void res.json({ status: 'success', types: CATALOGUE }));
  router.get('/events', (req, res) => listEvents(deps, req, res));
  router.post('/hook/verify', (req, res) => verify(deps, req, res));
  return router;
}

async function create({ endpoints }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const { endpoint, secret } = await endpoints.create(actorOf(req), readBody(req, apiNewEndpoint));
  res.status(201).set('Cache-Control', 'no-store').json({ status: 'success', endpoint: endpointRow(endpoint), secret });
}

async function change({ endpoints }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const id = readId(req.params);
  const { state, ...fields } = readBody(req, apiChangeEndpoint);
  const before = await endpoints.get(actor, id);
  if (Object.keys(fields).length > 0) await endpoints.edit(actor, id, { name: before.name, url: before.url, style: before.style, events: before.events, ...fields });
  if (state === 'paused' && before.state === 'enabled') await endpoints.pause(actor, id);
  if (state === 'enabled' && before.state !== 'enabled') await endpoints.resume(actor, id);
  res.json({ status: 'success', endpoint: endpointRow(await endpoints.get(actor, id)) });
}

async function stats({ deliveries }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const { hours } = readQuery(req, statsQuery);
  const { since, isPartial, all, byEndpoint, byEvent } = await deliveries.stats(actorOf(req), hours * 3_600_000);
  res.json({ status: 'success', since, isPartial, all, byEndpoint: Object.fromEntries(byEndpoint), byEvent: Object.fromEntries(byEvent) });
}

async function listDeliveries({ deliveries }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const { endpoint, state, event, since, text, cursor, limit } = readQuery(req, deliveriesQuery);
  const rows = await deliveries.list(actorOf(req), {
    limit: limit + 1,
    ...(endpoint === undefined ? {} : { endpointId: endpoint }),
    ...(state === undefined ? {} : { states: [state as Delivery['state']] }),
    ...(event === undefined ? {} : { event }),
    ...(since === undefined ? {} : { from: since }),
    ...(text === undefined ? {} : { text }),
    ...(cursor === undefined ? {} : { before: { createdAt: cursor.at, id: cursor.id } }),
  });
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  res.json({ status: 'success', deliveries: page.map(deliveryRow), next: last === undefined ? null : `${last.createdAt.getTime()}-${last.id}` });
}

/** For those who would rather ask than be called: events newest first, each with what became of its deliveries. */
async function listEvents({ events, deliveries }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { since, type, delivery, cursor, limit } = readQuery(req, eventsQuery);
  const filter = { accountId: actor.accountId, since, types: type === undefined ? undefined : [type] };
  let page: EventInput[];
  let next: string | null = null;
  if (delivery === undefined) {
    const found = await events.list({ ...filter, before: cursor, limit: limit + 1 });
    page = found.slice(0, limit);
    const last = page.at(-1);
    if (found.length > limit && last !== undefined) next = `${last.at.getTime()}-${last.id}`;
  } else {
    const rows = await deliveries.list(actor, { states: RECOVERABLE, limit: limit + 1, ...(since === undefined ? {} : { from: since }), ...(type === undefined ? {} : { event: type }), ...(cursor === undefined ? {} : { before: { createdAt: cursor.at, id: cursor.id } }) });
    page = await events.findMany([...new Set(rows.slice(0, limit).map(({ eventId }) => eventId))]);
    const last = rows[limit - 1];
    if (rows.length > limit && last !== undefined) next = `${last.createdAt.getTime()}-${last.id}`;
  }
  const rows = await deliveries.ofEvents(actor, page.map(({ id }) => id));
  const shown = page.flatMap((event) => {
    const payload = buildPayload('signpost', event, { url: '', announcedBefore: false });
    return payload === null ? [] : [{ ...(JSON.parse(payload.body) as object), deliveries: rows.filter(({ eventId }) => eventId === event.id).map(deliveryRow) }];
  });
  res.json({ status: 'success', events: shown, next });
}

async function verify({ endpoints }: WebhookApiDeps, req: Request, res: Response): Promise<void> {
  const { headers, body, secret = null } = readBody(req, verifyInput);
  res.json({ status: 'success', ...(await endpoints.diagnose(actorOf(req), { headers, body, secret })) });
}

function endpointRow({ id, name, description, url, style, events, state, stateReason, apiAction, headers, timeoutS, maxPerMinute, ordered, timedHeader, clientCertificate, lastAttempt, failingSince, parkedUntil, recovery, createdAt, updatedAt }: Endpoint): object {
  const masked = Object.fromEntries(headers.map((header) => [header.name, MASK]));
  return {
    id, name, description, url, style, events, state, stateReason, action: apiAction, headers: masked, timeoutS, maxPerMinute, ordered, timedHeader,
    clientCertificate: clientCertificate === null ? null : { certificate: clientCertificate.certificate, subject: clientCertificate.subject, expiresAt: clientCertificate.expiresAt }, lastAttempt, failingSince, parkedUntil, recovery, createdAt, updatedAt,
  };
}

function deliveryRow({ id, endpointId, endpointUrl, eventId, eventType, event, postId, state, dueAt, attemptCount, lastStatus, lastError, lastDurationMs, note, createdAt, endedAt }: DeliveryRow): object {
  return { id, endpointId, url: endpointUrl, eventId, eventType, event, postId, state, nextAttemptAt: state === 'waiting' ? dueAt : null, attemptCount, lastStatus, lastError, lastDurationMs, note, createdAt, endedAt };
}

function deliveryFull(delivery: Delivery): object {
  return { ...deliveryRow({ ...delivery, lastDurationMs: delivery.attempts.at(-1)?.durationMs ?? null }), body: delivery.body, attempts: delivery.attempts };
}
