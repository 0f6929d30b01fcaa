/** The inbox's pages: what arrived at the account's own callback URL, live, and whether its signature verified. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { form, goTo } from '../http/forms.js';
import { sse } from '../http/live.js';
import { flash, render, renderText } from '../http/render.js';
import type { Notifier } from '../lib/notifier.js';
import { readId } from './endpoint-schemas.js';
import type { EndpointService } from './endpoint-service.js';
import type { InboxService } from './inbox-service.js';

export interface InboxPagesDeps {
  inbox: InboxService;
  endpoints: EndpointService;
  notifier: Notifier;
}

const LIVE_EVERY_MS = 2_000;

export function inboxPages(deps: InboxPagesDeps): Router {
  const router = Router();
  router.get('/inbox', async (req, res) => render(res, 'inbox/inbox', await deps.inbox.view(actorOf(req))));
  router.get('/inbox/live', (req, res) => live(deps, req, res));
  router.get('/inbox/messages/:id', (req, res) => show(deps, req, res));
  // Somebody opened the callback URL in a browser: it is for programs, the page is here.
  router.get('/inbox/:token', (req, res) => goTo(req, res, '/inbox'));
  router.post('/inbox/endpoint', form((req, res) => register(deps, req, res), async (req, res, again) => {
    render(res, 'inbox/inbox', { ...(await deps.inbox.view(actorOf(req))), flash: [{ kind: 'danger', message: again.fields[0]?.message ?? again.message }] });
  }));
  router.post('/inbox/clear', async (req, res) => {
    await deps.inbox.clear(actorOf(req));
    goTo(req, res, '/inbox');
  });
  return router;
}

function live({ inbox, notifier }: InboxPagesDeps, req: Request, res: Response): void {
  const actor = actorOf(req);
  const shown = req.query['version'];
  sse(req, res, {
    subscribe: (listener) => notifier.subscribe(inbox.topic(actor.accountId), listener),
    everyMs: LIVE_EVERY_MS,
    shown: typeof shown === 'string' ? shown : undefined,
    read: () => inbox.version(actor),
    fragment: async () => renderText(req, 'inbox/_messages', await inbox.view(actor)),
  });
}

async function show({ inbox, endpoints }: InboxPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const message = await inbox.message(actor, readId(req.params));
  const endpoint = message.endpointId === null ? null : ((await endpoints.list(actor)).find(({ id }) => id === message.endpointId) ?? null);
  render(res, 'inbox/message', { inboxMessage: message, endpoint, prettyBody: pretty(message.body) });
}

async function register({ inbox }: InboxPagesDeps, req: Request, res: Response): Promise<void> {
  await inbox.register(actorOf(req));
  flash(req, 'success', 'Your inbox is an endpoint now: what becomes of scheduled posts arrives here.');
  goTo(req, res, '/inbox');
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
