/** Serves a simulated network's API: finds whose token it is, lets faults happen, calls the route, answers. */
import express, { type Request, type RequestHandler, type Response, Router } from 'express';
import type { Logger } from '../../lib/logger.js';
import { numberOption, type Fault, type Faults } from './faults.js';
import { textField, type Act, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork, type SimulatedRoute, type SimulatorSettings } from './network.js';
import { answerTokenRequest, renewGrant } from './tokens.js';
import type { SimulatedAccount, SimulatedGrant, World } from './world.js';

interface Deps {
  world: World;
  settings: SimulatorSettings;
  now(): number;
  faults: Faults;
  log: Logger;
  publicUrl(): string;
}

const NOBODY: SimulatedAccount = { network: '', id: '', handle: '', displayName: '', createdAt: 0 };

export function networkApi(network: SimulatedNetwork, deps: Deps): Router {
  const router = Router({ strict: false });
  router.use(express.raw({ type: () => true, limit: '64mb' }));
  const tokenRoute: SimulatedRoute = { method: 'post', path: network.token.path, act: 'refresh', open: true, handle: (call) => answerTokenRequest(network, call) };
  const meter = createMeter(network);
  for (const route of [tokenRoute, ...network.routes]) router[route.method](route.path, serve(network, route, meter, deps));
  router.use((_req, res) => {
    res.status(404).json({ error: 'NotFound', message: `The simulated ${network.name} has no such method.` });
  });
  return router;
}

function serve(network: SimulatedNetwork, route: SimulatedRoute, meter: Meter, deps: Deps): RequestHandler {
  return async (req, res) => {
    const call = readCall(network, req, deps);
    if (call === null) return send(res, network.refusals.refused('The body is not valid JSON.'));
    const account = route.open === true ? accountOfGrant(network, route, call) : accountOfToken(network, call);
    if (account === null) return send(res, network.refusals.signedOut());
    call.account = account;
    if (account.isSuspended === true) return send(res, network.refusals.suspended());
    const act = actOf(route, call);
    const fault = deps.faults.draw({ network: network.id, accountId: account.id, handle: account.handle, act, text: route.textOf?.(call) ?? '' });
    if (fault !== null) deps.log.info({ network: network.id, act, fault: fault.kind }, 'simulated fault');
    await answer(network, route, call, fault, meter, res);
  };
}

async function answer(network: SimulatedNetwork, route: SimulatedRoute, call: SimulatedCall, fault: Fault | null, meter: Meter, res: Response): Promise<void> {
  if (fault?.kind === 'slow') await pause(numberOption(fault, 'ms', 3000));
  if (fault?.kind === 'reset-before-accept') return cut(res);
  const refusal = fault === null ? null : refusalOf(network, route, fault, call);
  if (refusal !== null) return send(res, refusal);
  const isPublish = actOf(route, call) === 'publish';
  const usage = isPublish ? meter.count(call.account.id, call.now) : null;
  if (usage?.isOver === true && call.settings.enforceRateLimits) {
    const tooMany = network.refusals.tooMany(Math.ceil((usage.resetAt - call.now) / 1000), call.now);
    return send(res, { ...tooMany, headers: { ...usage.headers, ...tooMany.headers } });
  }
  if (isPublish && call.settings.refuseDuplicates && wasPosted(network, call, route.textOf?.(call) ?? '')) return send(res, network.refusals.duplicate());
  if (fault?.kind === 'stuck' || fault?.kind === 'processing-fails' || fault?.kind === 'late' || fault?.kind === 'expires') call.effect = fault.kind;
  if (fault?.kind === 'late') call.settings = { ...call.settings, processingMs: numberOption(fault, 'ms', 120_000) };
  const answered = route.handle(call);
  const accepted = answered.status < 400;
  if (accepted && fault?.kind === 'timeout-after-accept') {
    const timer = setTimeout(() => cut(res), call.settings.holdMs);
    res.on('close', () => clearTimeout(timer));
    return;
  }
  if (accepted && fault?.kind === 'reset-after-accept') return cut(res);
  if (accepted && fault?.kind === 'error-after-accept') return send(res, network.refusals.serverError());
  if (accepted && fault?.kind === 'html-after-accept') return send(res, { status: 200, body: HTML_ERROR });
  send(res, { ...answered, headers: { ...usage?.headers, ...answered.headers } });
}

function actOf({ act }: SimulatedRoute, call: SimulatedCall): Act {
  return typeof act === 'function' ? act(call) : act;
}

function wasPosted(network: SimulatedNetwork, { world, account }: SimulatedCall, text: string): boolean {
  return text !== '' && world.postsOf(network.id, account.id).some((post) => post.text === text && post.deletedAt === null);
}

function refusalOf(network: SimulatedNetwork, route: SimulatedRoute, fault: Fault, call: SimulatedCall): SimulatedAnswer | null {
  const { refusals } = network;
  const act = actOf(route, call);
  switch (fault.kind) {
    case 'rate-limited': return refusals.tooMany(fault.options['after'] === 'none' ? null : numberOption(fault, 'after', 2), call.now);
    case 'server-error': return refusals.serverError();
    case 'html-error': return { status: 502, body: HTML_ERROR };
    case 'signed-out': return act === 'refresh' && route.grantOf === undefined ? network.token.error('invalid_grant', 'The token is no longer good.') : refusals.signedOut();
    case 'revoked': {
      const grant = act === 'refresh' ? grantToRenew(network, route, call) : call.world.grantByAccessToken(network.id, tokenOf(network, call));
      if (grant !== undefined) call.world.put('grant', { ...grant, isRevoked: true });
      return act === 'refresh' ? route.handle(call) : refusals.signedOut();
    }
    case 'already-rotated': {
      const grant = grantToRenew(network, route, call);
      if (grant !== undefined) renewGrant(network, call, grant);
      return route.handle(call);
    }
    case 'suspended': return refusals.suspended();
    case 'duplicate': return refusals.duplicate();
    case 'daily-limit': return refusals.dailyLimit(call.now);
    case 'refused': return refusals.refused('This was refused because a simulated fault asked for it.');
    case 'localized': return refusals.refused('Beim Veröffentlichen ist ein Fehler aufgetreten. Bitte versuche es später noch einmal.');
    default: return null;
  }
}

const HTML_ERROR = '<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><p>simulated</p></body></html>';

/** @returns null when the body is not what its content type says */
function readCall(network: SimulatedNetwork, req: Request, { world, settings, now, publicUrl }: Deps): SimulatedCall | null {
  const raw = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
  const body = parseBody(raw, req.get('content-type') ?? '');
  if (body === null) return null;
  const strings = (from: object): Record<string, string> => Object.fromEntries(Object.entries(from).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : [])));
  return {
    params: strings(req.params), query: strings(req.query), body, raw, headers: strings(req.headers), account: NOBODY, world, now: now(), settings, effect: null,
    apiUrl: `${req.protocol}://${req.get('host') ?? ''}/${network.id}/api`, webUrl: `${publicUrl()}/${network.id}/web`,
  };
}

function parseBody(raw: Buffer, contentType: string): Record<string, unknown> | null {
  if (contentType.startsWith('application/x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(raw.toString('utf8')));
  if (!contentType.startsWith('application/json') || raw.length === 0) return {};
  try {
    const parsed: unknown = JSON.parse(raw.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function accountOfToken(network: SimulatedNetwork, call: SimulatedCall): SimulatedAccount | null {
  const grant = call.world.grantByAccessToken(network.id, tokenOf(network, call));
  if (grant === undefined || grant.isRevoked || grant.accessExpiresAt <= call.now) return null;
  return call.world.find('account', network.id, grant.accountId) ?? null;
}

/** Faults of the token endpoint are aimed at the account whose refresh token it is. */
function accountOfGrant(network: SimulatedNetwork, route: SimulatedRoute, call: SimulatedCall): SimulatedAccount {
  const grant = actOf(route, call) === 'refresh' ? grantToRenew(network, route, call) : undefined;
  return (grant === undefined ? undefined : call.world.find('account', network.id, grant.accountId)) ?? NOBODY;
}

function grantToRenew(network: SimulatedNetwork, route: SimulatedRoute, call: SimulatedCall): SimulatedGrant | undefined {
  return route.grantOf?.(call) ?? call.world.grantByRefreshToken(network.id, textField(call.body, 'refresh_token'));
}

function tokenOf(network: SimulatedNetwork, call: SimulatedCall): string {
  if (network.tokenOf !== undefined) return network.tokenOf(call);
  const [scheme = '', token = ''] = (call.headers['authorization'] ?? '').split(' ');
  return /^bearer$/i.test(scheme) ? token : '';
}

function send(res: Response, { status, body, headers }: SimulatedAnswer): void {
  res.status(status).set(headers ?? {});
  if (typeof body === 'string') res.type('html').send(body);
  else if (body === null || body === undefined) res.end();
  else res.json(body);
}

function cut(res: Response): void {
  res.socket?.resetAndDestroy();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Meter {
  count(accountId: string, now: number): { isOver: boolean; resetAt: number; headers: Record<string, string> };
}

/** Counts publish calls per account and window, as the network's rate-limit headers tell. */
function createMeter({ rate }: SimulatedNetwork): Meter {
  const windows = new Map<string, { used: number; resetAt: number }>();
  return {
    count(accountId, now) {
      const known = windows.get(accountId);
      const window = known === undefined || known.resetAt <= now ? { used: 0, resetAt: now + rate.windowMs } : known;
      windows.set(accountId, window);
      window.used++;
      const remaining = Math.max(0, rate.limit - window.used);
      return { isOver: window.used > rate.limit, resetAt: window.resetAt, headers: rate.headers(rate.limit, remaining, window.resetAt) };
    },
  };
}
