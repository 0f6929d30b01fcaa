/** `/api/hook/webhook`: register, list and remove webhooks by action, in Ayrshare's shapes; `/api/hook` is the same. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { readBody } from '../http/input.js';
import type { Actor } from '../lib/actor.js';
import type { EndpointRegistration } from './endpoint-registration.js';
import { registerSchema, unregisterSchema } from './endpoint-schemas.js';

export interface HookApiDeps {
  registration: EndpointRegistration;
  /** The profile's refId. */
  refId(actor: Actor): Promise<string>;
}

const PATHS = ['/hook/webhook', '/hook'];

export function hookApi(deps: HookApiDeps): Router {
  const router = Router();
  router.post(PATHS, (req, res) => register(deps, req, res));
  router.get(PATHS, (req, res) => list(deps, req, res));
  router.delete(PATHS, (req, res) => unregister(deps, req, res));
  return router;
}

async function register({ registration, refId }: HookApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const input = readBody(req, registerSchema);
  const { endpoint, madeSecret } = await registration.register(actor, input);
  // Without a secret of the caller's one is made, and told here only.
  const secret = madeSecret === null ? {} : { secret: madeSecret };
  res.set('Cache-Control', 'no-store').json({ status: 'success', action: input.action, url: endpoint.url, refId: await refId(actor), ...secret });
}

async function list({ registration, refId }: HookApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const found = await registration.list(actor);
  const answer: Record<string, unknown> = { status: 'success', refId: await refId(actor) };
  for (const { apiAction, url, updatedAt } of found) {
    answer[apiAction ?? ''] = url;
    answer[`${apiAction}Updated`] = updatedAt.toISOString();
  }
  const latest = found.map(({ updatedAt }) => updatedAt).sort((a, b) => b.getTime() - a.getTime())[0];
  if (latest !== undefined) answer['updated'] = latest.toISOString();
  res.json(answer);
}

async function unregister({ registration }: HookApiDeps, req: Request, res: Response): Promise<void> {
  const { action } = readBody(req, unregisterSchema);
  await registration.unregister(actorOf(req), action);
  res.json({ status: 'success', action });
}
