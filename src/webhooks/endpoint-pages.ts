/** The pages of endpoints: list, create, look at one, change, pause, test, remove. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { readBody } from '../http/input.js';
import { flash, render } from '../http/render.js';
import type { Actor } from '../lib/actor.js';
import { AppError } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { DeliveryService } from './delivery-service.js';
import { AYRSHARE_ACTIONS, TIMEOUT_S, type Endpoint } from './endpoint.js';
import { changeEndpointSchema, newEndpointSchema, readId, recoverSchema, rotateSchema, switchSchema } from './endpoint-schemas.js';
import { durationText } from './duration.js';
import type { EndpointService } from './endpoint-service.js';
import { EVENT_TYPES } from './event.js';
import { maskedLines } from './custom-headers.js';
import type { InboxService } from './inbox-service.js';
import type { RecoveryService } from './recovery.js';
import { standardForm } from './signing.js';

export interface EndpointPagesDeps {
  endpoints: EndpointService;
  deliveries: DeliveryService;
  recovery: RecoveryService;
  clock: Clock;
  inbox: Pick<InboxService, 'url'>;
  /** The account's, the primary one first. */
  profilesOf(actor: Actor): Promise<{ id: string; title: string; isPrimary: boolean }[]>;
}

const NO_PROBLEMS: FormProblems = { input: {}, problems: {}, fields: [], message: '' };
const ACTIONS: Record<(typeof AYRSHARE_ACTIONS)[number], string> = { scheduled: 'What became of a scheduled post.', social: 'A channel was linked or unlinked.' };
const LATEST = 10;
const DAY_MS = 24 * 3_600_000;
const WITHIN_MS = { '24h': DAY_MS, '3d': 3 * DAY_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS } as const;

/** Mounted at `/`, behind sign-in, after the delivery log's pages. */
export function endpointPages(deps: EndpointPagesDeps): Router {
  const router = Router();
  router.get('/webhooks', (req, res) => list(deps, req, res));
  router.get('/webhooks/new', (req, res) => renderForm(res, { input: blank() }));
  router.post('/webhooks', form((req, res) => create(deps, req, res), (_req, res, again) => renderForm(res, again)));
  router.get('/webhooks/:id', (req, res) => show(deps, req, res));
  router.get('/webhooks/:id/edit', (req, res) => edit(deps, req, res));
  router.post('/webhooks/:id/edit', form((req, res) => save(deps, req, res), async (req, res, again) => renderForm(res, again, await deps.endpoints.get(actorOf(req), idOf(req)))));
  router.post('/webhooks/:id/test', (req, res) => test(deps, req, res));
  router.post('/webhooks/:id/rotate', (req, res) => rotate(deps, req, res));
  router.post('/webhooks/:id/recover', (req, res) => recover(deps, req, res));
  router.post('/webhooks/:id/pause', (req, res) => act(deps, req, res, 'pause', 'The endpoint is paused. What waited for it was cancelled; what happens from now on is recorded as skipped.'));
  router.post('/webhooks/:id/resume', (req, res) => act(deps, req, res, 'resume', 'The endpoint is on.'));
  router.post('/webhooks/:id/remove', (req, res) => remove(deps, req, res));
  return router;
}

function idOf(req: Request): string {
  return readId(req.params);
}

function blank(): FormProblems['input'] {
  return { name: '', url: '', style: 'ayrshare', events: ['scheduled', '*'], headers: '', timeoutS: String(TIMEOUT_S.default), description: '', maxPerMinute: '', timedHeader: '', clientCertificate: '' };
}

async function list({ endpoints, deliveries, inbox, profilesOf }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const [found, days, inboxUrl, profiles] = await Promise.all([endpoints.list(actor), deliveries.lastDay(actor), inbox.url(actor), profilesOf(actor)]);
  render(res, 'webhooks/list', { endpoints: found, days, profiles, sendsToInbox: found.some(({ url }) => url === inboxUrl) });
}

function renderForm(res: Response, again: Partial<FormProblems>, endpoint: Endpoint | null = null): void {
  const { input, problems, message } = { ...NO_PROBLEMS, ...again };
  render(res, 'webhooks/form', { input, problems, message, endpoint, actions: ACTIONS, eventTypes: EVENT_TYPES, chosen: [input['events'] ?? []].flat() });
}

async function create({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const { endpoint, secret } = await endpoints.create(actorOf(req), readBody(req, newEndpointSchema));
  showSecret(res, 201, endpoint, secret, 'created');
}

/** Answered at once instead of by a redirect: the secret's text is kept nowhere readable, not even for a moment. */
function showSecret(res: Response, status: number, endpoint: Endpoint, secret: string, why: 'created' | 'rotated'): void {
  res.status(status).set('Cache-Control', 'no-store');
  const standard = standardForm(secret);
  render(res, 'webhooks/secret', { endpoint, secret, standard: standard === secret ? null : standard, why });
}

async function show({ endpoints, deliveries, recovery, profilesOf, clock }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const endpoint = await endpoints.get(actor, idOf(req));
  const [latest, missed, line, profiles] = await Promise.all([
    deliveries.latestOf(endpoint.id, LATEST), recovery.count(actor, endpoint.id, new Date(clock.now().getTime() - WITHIN_MS['30d'])),
    endpoint.ordered ? deliveries.line(endpoint.id) : { first: null, behind: 0 },
    profilesOf(actor),
  ]);
  const profile = profiles.length < 2 ? undefined : profiles.find(({ id }) => id === endpoint.profileId);
  render(res, 'webhooks/endpoint', { duration: durationText, endpoint, deliveries: latest, missed, profile, ...line });
}

async function recover({ recovery, clock }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  const { within } = readBody(req, recoverSchema);
  try {
    await recovery.start(actorOf(req), id, new Date(clock.now().getTime() - WITHIN_MS[within]));
    flash(req, 'info', 'What this endpoint missed is being sent again, with the same webhook-ids. The log shows how it goes.');
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
    flash(req, 'warning', error.message);
  }
  goTo(req, res, `/webhooks/${id}`);
}

async function edit({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const endpoint = await endpoints.get(actorOf(req), idOf(req));
  renderForm(res, { input: typed(endpoint) }, endpoint);
}

/** The endpoint as its form shows it. */
function typed({ name, description, url, style, events, headers, timeoutS, maxPerMinute, ordered, timedHeader, clientCertificate }: Endpoint): FormProblems['input'] {
  return {
    name, description, url, style, events, headers: maskedLines(headers), timeoutS: String(timeoutS), maxPerMinute: maxPerMinute === null ? '' : String(maxPerMinute),
    timedHeader: timedHeader ?? '', clientCertificate: clientCertificate?.certificate ?? '', ...(ordered ? { ordered: 'on' } : {}),
  };
}

async function save({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const endpoint = await endpoints.edit(actorOf(req), idOf(req), readBody(req, changeEndpointSchema));
  flash(req, 'success', 'The endpoint is saved. Deliveries that still wait go to the new URL.');
  goTo(req, res, `/webhooks/${endpoint.id}`);
}

async function test({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const deliveryId = await endpoints.test(actorOf(req), idOf(req));
  flash(req, 'info', 'A signed test is on its way. This page shows what comes of it.');
  goTo(req, res, `/webhooks/deliveries/${deliveryId}`);
}

async function rotate({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  const { endpoint, secret } = await endpoints.rotate(actorOf(req), idOf(req), readBody(req, rotateSchema).overlapHours);
  showSecret(res, 200, endpoint, secret, 'rotated');
}

async function act({ endpoints }: EndpointPagesDeps, req: Request, res: Response, what: 'pause' | 'resume', message: string): Promise<void> {
  const id = idOf(req);
  const { from } = readBody(req, switchSchema);
  await endpoints[what](actorOf(req), id);
  flash(req, 'success', message);
  goTo(req, res, from === 'list' ? '/webhooks' : `/webhooks/${id}`);
}

async function remove({ endpoints }: EndpointPagesDeps, req: Request, res: Response): Promise<void> {
  await endpoints.remove(actorOf(req), idOf(req));
  flash(req, 'success', 'The endpoint is removed. Its deliveries stay in the log.');
  goTo(req, res, '/webhooks');
}
