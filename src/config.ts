/** The only file that reads the environment: one schema, every problem listed at once. `.env.example` names the same settings. */
import { isIP } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import type { Platform } from './platforms/platform.js';
import { platforms } from './platforms/registry.js';

const port = z.coerce.number('must be a number').int('must be a whole number').min(0, 'must be 0 to 65535').max(65535, 'must be 0 to 65535');
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) address such as https://signpost.example.com' }).transform((url) => url.replace(/\/+$/, ''));

const ROLES = ['web', 'worker'] as const;
const NETWORKS = ['real', 'simulated'] as const;
const appKey: z.ZodType<string | undefined> = z.string().trim().min(1).optional();
/** Words separated by commas, each one of these, at least one. */
const someOf = (known: readonly string[], problem: string) => (list: string, context: z.RefinementCtx): string[] => {
  const words = list.split(',').map((part) => part.trim()).filter((part) => part !== '');
  if (words.length === 0 || words.some((word) => !known.includes(word))) context.addIssue({ code: 'custom', message: problem });
  return words;
};
/** Several, while one is being changed for another. */
const secrets = z.string().default('').transform((list) => list.split(',').map((part) => part.trim()).filter((part) => part !== ''));

const schema = z.object({
  ROLES: z.string().default('web,worker').transform(someOf(ROLES, 'must be web, worker or web,worker')),
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: port.optional(),
  PUBLIC_URL: httpUrl.optional(),
  DATA_DIR: z.string().min(1).default('data'),
  MONGODB_URI: z.string().regex(/^mongodb(\+srv)?:\/\//, 'must start with mongodb:// or mongodb+srv://').optional(),
  SECRET_KEY: z.string().min(32, 'must have at least 32 characters; `openssl rand -base64 48` makes one').optional(),
  SIGNUP: z.enum(['open', 'closed', 'auto'], 'must be open, closed or auto').default('auto'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'must be trace, debug, info, warn, error, fatal or silent').default('info'),
  SIMULATOR_PORT: port.optional(),
  SIMULATOR_PUBLIC_URL: httpUrl.optional(),
  NETWORKS: z.string().default('real,simulated').transform(someOf(NETWORKS, 'must be real, simulated or real,simulated')),
  WEBHOOK_ALLOW_CIDRS: z.string().default('').transform((list) => list.split(',').map((part) => part.trim()).filter((part) => part !== '')).superRefine((cidrs, context) => {
    for (const cidr of cidrs.filter((part) => !isCidr(part))) context.addIssue({ code: 'custom', message: `${cidr} is not a range such as 192.168.3.0/24` });
  }),
  WEBHOOK_ALLOW_HTTP: z.enum(['true', 'false'], 'must be true or false').default('false'),
  WEBHOOK_RETENTION_DAYS: z.coerce.number('must be a number of days').int('must be whole days').min(4, 'must be 4 to 365').max(365, 'must be 4 to 365').default(30),
  SMTP_URL: z.url({ protocol: /^smtps?$/, error: 'must be an address such as smtps://user:password@mail.example.com' }).optional(),
  MAIL_FROM: z.string().max(200).regex(/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, 'must be an address such as Signpost <signpost@example.com>').optional(),
  MEDIA_DIR: z.string().min(1).optional(),
  MEDIA_MAX_MB: z.coerce.number('must be a number of megabytes').int('must be whole megabytes').min(1, 'must be 1 to 5000').max(5_000, 'must be 1 to 5000').default(256),
  MEDIA_RETENTION_DAYS: z.coerce.number('must be a number of days').int('must be whole days').min(1, 'must be 1 to 3650').max(3_650, 'must be 1 to 3650').default(90),
  BILLING: z.enum(['off', 'simulated', 'stripe'], 'must be off, simulated or stripe').default('off'),
  PLANS_FILE: z.string().min(1).optional(),
  STRIPE_API_KEY: z.string().regex(/^(sk|rk)_\S+$/, 'must be a secret or restricted key: sk_... or rk_...').optional(),
  STRIPE_WEBHOOK_SECRETS: secrets,
  STRIPE_API_URL: httpUrl.optional(),
  PADDLE_WEBHOOK_SECRETS: secrets,
  LATE_LIMIT_HOURS: z.coerce.number('must be a number of hours').min(0.1, 'must be 0.1 to 720').max(720, 'must be 0.1 to 720').default(24),
  TRUST_PROXY: z.coerce.number('must be the number of proxies in front of Signpost').int().min(0).max(10).default(0),
}).superRefine(({ SMTP_URL: smtpUrl, MAIL_FROM: from }, context) => {
  if (smtpUrl !== undefined && from === undefined) context.addIssue({ code: 'custom', path: ['MAIL_FROM'], message: 'is needed with SMTP_URL: whom mails come from, such as Signpost <signpost@example.com>' });
}).superRefine(({ BILLING: billing, STRIPE_WEBHOOK_SECRETS: stripe, PADDLE_WEBHOOK_SECRETS: paddle }, context) => {
  if (billing !== 'stripe' || stripe.length > 0 || paddle.length > 0) return;
  context.addIssue({ code: 'custom', path: ['STRIPE_WEBHOOK_SECRETS'], message: 'is needed with BILLING=stripe: the signing secret of the endpoint that sends events to PUBLIC_URL/hooks/billing/stripe' });
});

/** Of each network that wants one: the operator's app. Of each that consists of many servers: which one. */
const networkSchema = z.object(Object.fromEntries(platforms.flatMap(networkSettings))).superRefine((settings, context) => {
  for (const [name, value] of Object.entries(settings)) {
    const half = /^(\w+)_CLIENT_(ID|SECRET)$/.exec(name);
    if (half === null || value === undefined) continue;
    const other = `${half[1]}_CLIENT_${half[2] === 'ID' ? 'SECRET' : 'ID'}`;
    if (settings[other] === undefined) context.addIssue({ code: 'custom', path: [other], message: `is needed with ${name}: a network gives its apps both` });
  }
});

function networkSettings({ id, connectFields, hasManyServers }: Platform): [string, typeof appKey][] {
  const name = id.toUpperCase();
  return [
    // What is typed to connect needs no app.
    ...(connectFields === undefined ? ['CLIENT_ID', 'CLIENT_SECRET'].map((key): [string, typeof appKey] => [`${name}_${key}`, appKey]) : []),
    ...(hasManyServers === true ? [[`${name}_SERVER`, httpUrl.optional()] satisfies [string, typeof appKey]] : []),
  ];
}

export const SETTING_NAMES = [...Object.keys(schema.shape), ...Object.keys(networkSchema.shape)];

export interface Config {
  /** web: pages, API, the simulated networks and the embedded database. worker: publishes posts and delivers webhooks. */
  roles: { web: boolean; worker: boolean };
  host: string;
  port: number;
  /** True when PORT was set: a worker answers health checks then, and listens nowhere otherwise. */
  isPortGiven: boolean;
  /** The address users and webhooks see; null: made from host and the port that was bound. */
  publicUrl: string | null;
  /** Absolute path: embedded database, key file, simulator's journal. */
  dataDir: string;
  /** Null: the embedded database is started. */
  mongodbUri: string | null;
  secretKey: string | null;
  signup: 'open' | 'closed' | 'auto';
  logLevel: string;
  /** Null: the port after `port`, or any free one. */
  simulatorPort: number | null;
  simulatorPublicUrl: string | null;
  /** Where channels can be connected. */
  networks: { real: boolean; simulated: boolean };
  /** The operator's apps at real networks, by platform id. */
  apps: Record<string, { clientId: string; clientSecret: string }>;
  /** Servers used instead of a platform's usual ones, by platform id. */
  networkUrls: Record<string, string>;
  /** Ranges, e.g. `192.168.3.0/24`, that webhooks may be sent to although they are not public. */
  webhookAllowCidrs: string[];
  /** False: webhooks go to https addresses only (and to loopback, where that is allowed). */
  webhookAllowHttp: boolean;
  /** How long events and deliveries are kept. */
  webhookRetentionDays: number;
  /** Null: no mails are sent. */
  smtpUrl: string | null;
  mailFrom: string | null;
  /** Absolute path: uploaded files. */
  mediaDir: string;
  /** Of one uploaded file. */
  mediaMaxBytes: number;
  mediaRetentionDays: number;
  /** Off: everything is unlimited. */
  billing: 'off' | 'simulated' | 'stripe';
  /** Null: `plans.json` in the data directory, or the plans that come with Signpost. */
  plansFile: string | null;
  stripeApiKey: string | null;
  stripeWebhookSecrets: string[];
  /** Null: Stripe itself. */
  stripeApiUrl: string | null;
  paddleWebhookSecrets: string[];
  /** A post that is later than this is not sent any more. */
  lateLimitMs: number;
  /** How many reverse proxies stand in front: their X-Forwarded-For entries are believed. */
  trustProxy: number;
  /** True while Signpost can be reached from this machine alone: sign-up is open, loopback webhooks are allowed. */
  loopbackOnly: boolean;
}

export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`Signpost can't start with these settings:\n${problems.map((p) => `  - ${p}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * @param env usually `process.env`; an empty value counts as not set
 * @throws ConfigError that lists every problem
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(SETTING_NAMES.map((name) => [name, env[name] === '' ? undefined : env[name]]));
  const parsed = schema.safeParse(given);
  const ofNetworks = networkSchema.safeParse(given);
  if (!parsed.success || !ofNetworks.success) throw new ConfigError([...(parsed.error?.issues ?? []), ...(ofNetworks.error?.issues ?? [])].map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const s = parsed.data;
  return {
    roles: { web: s.ROLES.includes('web'), worker: s.ROLES.includes('worker') },
    host: s.HOST,
    port: s.PORT ?? 3000,
    isPortGiven: s.PORT !== undefined,
    publicUrl: s.PUBLIC_URL ?? null,
    dataDir: path.resolve(s.DATA_DIR),
    mongodbUri: s.MONGODB_URI ?? null,
    secretKey: s.SECRET_KEY ?? null,
    signup: s.SIGNUP,
    logLevel: s.LOG_LEVEL,
    simulatorPort: s.SIMULATOR_PORT ?? null,
    simulatorPublicUrl: s.SIMULATOR_PUBLIC_URL ?? null,
    networks: { real: s.NETWORKS.includes('real'), simulated: s.NETWORKS.includes('simulated') },
    apps: appsOf(ofNetworks.data),
    networkUrls: byPlatform(ofNetworks.data, '_SERVER'),
    webhookAllowCidrs: s.WEBHOOK_ALLOW_CIDRS,
    webhookAllowHttp: s.WEBHOOK_ALLOW_HTTP === 'true',
    webhookRetentionDays: s.WEBHOOK_RETENTION_DAYS,
    smtpUrl: s.SMTP_URL ?? null,
    mailFrom: s.MAIL_FROM ?? null,
    mediaDir: s.MEDIA_DIR === undefined ? path.resolve(s.DATA_DIR, 'media') : path.resolve(s.MEDIA_DIR),
    mediaMaxBytes: s.MEDIA_MAX_MB * 1_000_000,
    mediaRetentionDays: s.MEDIA_RETENTION_DAYS,
    billing: s.BILLING,
    plansFile: s.PLANS_FILE === undefined ? null : path.resolve(s.PLANS_FILE),
    stripeApiKey: s.STRIPE_API_KEY ?? null,
    stripeWebhookSecrets: s.STRIPE_WEBHOOK_SECRETS,
    stripeApiUrl: s.STRIPE_API_URL ?? null,
    paddleWebhookSecrets: s.PADDLE_WEBHOOK_SECRETS,
    lateLimitMs: s.LATE_LIMIT_HOURS * 3_600_000,
    trustProxy: s.TRUST_PROXY,
    loopbackOnly: isLoopback(s.HOST) && (s.PUBLIC_URL === undefined || isLoopback(new URL(s.PUBLIC_URL).hostname)) && s.TRUST_PROXY === 0,
  };
}

/** Settings whose names begin with a platform's id and end alike, by that id. */
function byPlatform(settings: Record<string, unknown>, ending: string): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).flatMap(([name, value]) => (name.endsWith(ending) && typeof value === 'string' ? [[name.slice(0, -ending.length).toLowerCase(), value]] : [])));
}

function appsOf(settings: Record<string, unknown>): Config['apps'] {
  const secretOf = byPlatform(settings, '_CLIENT_SECRET');
  return Object.fromEntries(Object.entries(byPlatform(settings, '_CLIENT_ID')).map(([id, clientId]) => [id, { clientId, clientSecret: secretOf[id]! }]));
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}

/** Is this `address/bits`? What lies behind it is judged by the address guard. */
function isCidr(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  const family = isIP(address);
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}
