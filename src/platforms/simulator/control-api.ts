/** The simulator's own API: what became public, faults on demand, settings; for tests, demonstrations and the curious. */
import express, { type ErrorRequestHandler, type Response, Router } from 'express';
import { z } from 'zod';
import { faultKinds, isFaultKind, type Faults, type RuleTarget } from './faults.js';
import type { SimulatedNetwork, SimulatorSettings } from './network.js';
import { postPath } from './public-pages.js';
import type { Outage } from './outage.js';
import { isPublic, type SimulatedPost, type World } from './world.js';

interface Deps {
  world: World;
  faults: Faults;
  settings: SimulatorSettings;
  networks: readonly SimulatedNetwork[];
  now(): number;
  publicUrl(): string;
  outage: Outage;
}

const ruleSchema = (networks: readonly string[]) => z.object({
  kind: z.string().refine(isFaultKind, { error: `must be one of ${Object.keys(faultKinds).join(', ')}` }),
  options: z.record(z.string(), z.coerce.string()).default({}),
  network: z.enum(networks, { error: `must be one of ${networks.join(', ')}` }).nullable().default(null),
  handle: z.string().max(300).nullable().default(null),
  act: z.enum(['prepare', 'publish', 'poll', 'look-up', 'refresh', 'remove', 'upload', 'read']).default('publish'),
  times: z.int().positive().nullable().default(null),
  probability: z.number().min(0).max(1).default(1),
  seed: z.int().default(1),
});

const settingsSchema = z.object({
  accessTokenMs: z.int().positive(), codeMs: z.int().positive(), processingMs: z.int().min(0), holdMs: z.int().positive(), enforceRateLimits: z.boolean(),
  refuseDuplicates: z.boolean(), clockSkewMs: z.int().min(-86_400_000).max(86_400_000),
}).partial();

const outageSchema = z.object({ ms: z.int().min(1).max(600_000) });

/** A post as the control API lists it. */
export interface ListedPost {
  network: string;
  handle: string;
  id: string;
  remoteId: string;
  text: string;
  media: string[];
  acceptedAt: string;
  publicAt: string | null;
  isPublic: boolean;
  deletedAt: string | null;
  url: string;
}

/** Routes below `/simulator`. Bodies must be JSON, so that a page in somebody's browser can't post here. */
export function controlApi(deps: Deps): Router {
  const router = Router();
  router.use(express.json({ limit: '100kb' }));
  router.get('/posts', (req, res) => {
    const { network, handle, text } = req.query;
    const listed = deps.world.posts().map((post) => listPost(post, deps)).filter((post) => (
      (network === undefined || post.network === network) && (handle === undefined || post.handle === handle) && (text === undefined || post.text === text)
    ));
    res.json({ posts: listed });
  });
  router.get('/accounts', (_req, res) => res.json({ accounts: deps.world.accounts() }));
  router.get('/faults', (req, res) => res.json({ kinds: faultKinds, rules: deps.faults.rules(targetOf(req.query)) }));
  router.post('/faults', (req, res) => {
    const rule = read(ruleSchema(deps.networks.map(({ id }) => id)), req.body, res);
    if (rule !== null) res.status(201).json({ rule: deps.faults.add(rule) });
  });
  router.delete('/faults', (req, res) => {
    deps.faults.clear(targetOf(req.query));
    res.json({ rules: deps.faults.rules({}) });
  });
  router.get('/settings', (_req, res) => res.json(deps.settings));
  router.patch('/settings', (req, res) => {
    const change = read(settingsSchema, req.body, res);
    if (change !== null) res.json(Object.assign(deps.settings, change));
  });
  router.post('/outage', (req, res) => {
    const asked = read(outageSchema, req.body, res);
    if (asked === null) return;
    res.json({ ms: asked.ms });
    res.on('finish', () => deps.outage.begin(asked.ms));
  });
  router.use((_req, res) => res.status(404).json({ errors: [{ field: '', message: 'There is no such call. The documentation of the simulated networks lists them.' }] }));
  router.use(((error: unknown, _req, res, next) => {
    const status = typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' ? error.status : 500;
    if (status >= 500 || res.headersSent) return next(error);
    res.status(status).json({ errors: [{ field: '', message: status === 413 ? 'The body is too large.' : 'The body is not valid JSON.' }] });
  }) satisfies ErrorRequestHandler);
  return router;
}

function targetOf({ network, handle }: Record<string, unknown>): Partial<RuleTarget> {
  return { ...(typeof network === 'string' ? { network } : {}), ...(typeof handle === 'string' ? { handle } : {}) };
}

function read<T>(schema: z.ZodType<T>, body: unknown, res: Response): T | null {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  res.status(400).json({ errors: parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), message: issue.message })) });
  return null;
}

function listPost(post: SimulatedPost, { world, networks, now, publicUrl }: Deps): ListedPost {
  const network = networks.find((candidate) => candidate.id === post.network)!;
  const account = world.find('account', post.network, post.accountId)!;
  const { handle } = account;
  const at = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    network: post.network, handle, id: post.id, remoteId: network.remoteId(post), text: post.text, media: post.media, acceptedAt: at(post.acceptedAt)!,
    publicAt: at(post.publicAt), isPublic: isPublic(post, now()), deletedAt: at(post.deletedAt),
    url: `${publicUrl()}${postPath(network, account, post)}`,
  };
}
