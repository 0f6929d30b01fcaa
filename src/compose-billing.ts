/** Builds billing and joins its parts; a page of compose.ts. Without billing there is none of it, and nothing is limited. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Router } from 'express';
import type { Db } from 'mongodb';
import { apiRate } from './billing/api-rate.js';
import type { BillingApi } from './billing/billing-api.js';
import { adminPages } from './billing/admin-pages.js';
import { billingEventIndexes, createBillingEventStore } from './billing/billing-event-store.js';
import { planNotices } from './billing/billing-views.js';
import { billingPages } from './billing/billing-pages.js';
import { createBillingService, type BillingService } from './billing/billing-service.js';
import { billingIndexes, createBillingStore, type SubscriptionChanged } from './billing/billing-store.js';
import { createDowngrade } from './billing/downgrade.js';
import { createFolding } from './billing/folding.js';
import { createHoldStore } from './billing/hold-store.js';
import { hookReceiver } from './billing/hook-receiver.js';
import { createIntake } from './billing/intake.js';
import { createPaddleAdapter } from './billing/paddle/paddle-adapter.js';
import { defaultPlans, findPlan, freePlan, type PlanBook } from './billing/plan.js';
import { loadPlans } from './billing/plan-file.js';
import { createBillingSimulator, SIMULATED_PAYMENTS, type BillingSimulator } from './billing/simulator/billing-simulator.js';
import { createStripeAdapter } from './billing/stripe/stripe-adapter.js';
import { createStripeApi } from './billing/stripe/stripe-api.js';
import { createUsageService, type LimitReached, type UsageService } from './billing/usage-service.js';
import { createUsageStore, usageIndexes } from './billing/usage-store.js';
import type { BillingAdapter } from './billing/provider.js';
import type { Config } from './config.js';
import type { Jobs } from './jobs/jobs.js';
import type { Actor } from './lib/actor.js';
import type { Clock } from './lib/clock.js';
import type { Logger } from './lib/logger.js';
import type { Notifier } from './lib/notifier.js';
import type { Post } from './posts/post.js';
import type { PostHolding } from './posts/post-holding.js';
import type { QuotaEventInput, SubscriptionEventInput } from './webhooks/event.js';

export interface BillingDeps {
  config: Config;
  db: Db;
  clock: Clock;
  log: Logger;
  jobs: Pick<Jobs, 'sweep'>;
  notifier: Notifier;
  /** Workers only count: what providers tell is taken by the process that serves the pages. */
  isWeb: boolean;
  publicUrl(): string;
  /** Signpost's address as this process reaches it. */
  localUrl(): string;
  /** Derived from the instance's key, for the simulated provider. */
  simulatorSecret: string;
  userOf(accountId: string): Promise<{ email: string; timeZone: string } | null>;
  existingAccounts(ids: string[]): Promise<Set<string>>;
  /** Newest first. */
  listAccounts(after: string | null, limit: number): Promise<{ accountId: string; email: string; timeZone: string; createdAt: Date }[]>;
  existingPosts(ids: string[]): Promise<Set<string>>;
  holding: PostHolding;
  countProfiles(actor: Actor): Promise<number>;
  countEndpoints(actor: Actor): Promise<number>;
  mediaBytesOf(accountId: string): Promise<number>;
  profileOf(accountId: string): string;
  record(events: (SubscriptionEventInput | QuotaEventInput)[]): Promise<void>;
}

export interface Billing {
  service: BillingService;
  usage: UsageService;
  requireRoom(post: Post): Promise<void>;
  requireRoomAgain(post: Post): Promise<void>;
  giveBackRoom(post: Post): Promise<void>;
  rawRouters: Router[];
  /** Before all others: they may say that it is enough for this minute. */
  apiReaders: Router[];
  pages: Router[];
  /** What the account's owner should know, in a sentence each. */
  notices(accountId: string): Promise<string[]>;
  /** Where forms may end besides Signpost itself. */
  formOrigins(): string[];
  stop(): Promise<void>;
}

export const allBillingIndexes = [...billingIndexes, ...billingEventIndexes, ...usageIndexes];

const SWEEP_EVERY_MS = 5_000;
const HOLDS_EVERY_MS = 30_000;
const STRIPE_PAGES = ['https://checkout.stripe.com', 'https://billing.stripe.com'];

/** @returns null when billing is off */
export async function composeBilling(deps: BillingDeps): Promise<Billing | null> {
  const { config, db, clock, log, notifier, jobs } = deps;
  if (config.billing === 'off') {
    if (deps.isWeb) releaseAllHeld(deps);
    return null;
  }
  const plans = loadPlans(config.plansFile, path.join(config.dataDir, 'plans.json'));
  if (config.billing === 'stripe' && plans === defaultPlans) log.warn('the plans are those that come with Signpost: name your own prices in a plans file (docs/billing.md)');
  const isSimulated = config.billing === 'simulated';
  const simulator = isSimulated && deps.isWeb ? simulatorOf(deps, plans) : null;
  const adapters = adaptersOf(deps);
  const api = deps.isWeb ? apiOf(deps) : null;
  // Whoever passes time at the simulated provider sees what it does to plans.
  const planClock: Clock = { now: () => new Date(clock.now().getTime() + (simulator?.aheadMs() ?? 0)) };

  const events = createBillingEventStore(db);
  const store = createBillingStore(db);
  const timeZoneOf = async (accountId: string): Promise<string> => (await deps.userOf(accountId))?.timeZone ?? 'UTC';
  const planOf = (accountId: string) => service.planOf(accountId);
  const billingUrl = (): string => `${deps.publicUrl()}/billing`;
  const usageStore = createUsageStore(db);
  const usage = createUsageService({
    store: usageStore, clock, log, notifier, planOf, timeZoneOf, existingPosts: deps.existingPosts, billingUrl,
    recordReached: (reached) => deps.record([quotaEventOf(reached, deps.profileOf(reached.accountId), billingUrl())]),
  });
  const holds = createHoldStore(db);
  const countHeld = async (accountId: string): Promise<number> => ((await holds.versionOf(accountId)) !== null ? (await deps.holding.held(accountId)).length : 0);
  const downgrade = createDowngrade({
    usage, store: usageStore, holds, planOf, timeZoneOf, clock, log, lateLimitMs: config.lateLimitMs,
    changed: (accountId) => notifier.notify(`account:${accountId}:billing`),
    posts: deps.holding,
  });
  const providers = new Set(adapters.map(({ provider }) => provider));
  const folding = createFolding({
    events, store, plans, clock, planClock, api, existingAccounts: deps.existingAccounts, providers,
    onWritten: (accountId) => notifier.notify(`account:${accountId}:billing`),
    onChanged: () => void service.relay().catch((error: unknown) => log.error({ err: error }, 'a change of plan could not be told; the sweep tries again')),
  });
  const service = createBillingService({
    store, folding, plans, api, providers, clock, planClock, log, publicUrl: deps.publicUrl,
    emailOf: async (accountId) => (await deps.userOf(accountId))?.email ?? null,
    record: async (changed) => {
      await followPlan(changed);
      await deps.record([eventOf(changed, deps.profileOf(changed.accountId))]);
    },
  });

  const intake = createIntake({ adapters, events, folding, api, clock, log });

  /** Posts that wait follow the plan: held when it got smaller, released when it got larger. */
  async function followPlan({ accountId, before, after }: SubscriptionChanged): Promise<void> {
    // A plan that is no longer in the file may have allowed anything.
    const limitOf = (key: string): number => findPlan(plans, key)?.limits.postsPerMonth ?? Number.POSITIVE_INFINITY;
    const [was, is] = [limitOf(before?.planKey ?? freePlan(plans).key), limitOf(after.planKey)];
    if (is !== was) await downgrade.follow(accountId);
  }

  if (deps.isWeb) {
    await store.refreshAllIfNew(createHash('sha256').update(JSON.stringify([plans, [...providers]])).digest('hex'), clock.now());
    jobs.sweep('billing', SWEEP_EVERY_MS, async () => {
      await intake.sweep();
      await service.sweep();
    });
    if (simulator !== null) jobs.sweep('simulated payments', SWEEP_EVERY_MS, async () => simulator.sendUnsent());
    jobs.sweep('held posts', SWEEP_EVERY_MS, () => downgrade.releaseIntoRoom());
    jobs.sweep('billing usage', HOLDS_EVERY_MS, async () => {
      await usage.sweep();
      await downgrade.sweep();
    });
  }
  const counted = (post: Post, isNew: boolean) => ({ accountId: post.accountId, postId: post.id, createdAt: post.createdAt, sequence: isNew ? 0 : post.sequence, isNew });

  return {
    service,
    usage,
    requireRoom: (post) => usage.requireRoomForPost(counted(post, true)),
    requireRoomAgain: (post) => usage.requireRoomForPost(counted(post, false)),
    giveBackRoom: (post) => usage.giveBack({ accountId: post.accountId, postId: post.id, createdAt: post.createdAt, beforeSequence: 1 }),
    apiReaders: plans.plans.some(({ limits }) => limits.apiCallsPerMinute !== null) ? [apiRate({ planOf, clock })] : [],
    rawRouters: [hookReceiver({ intake, log }), ...(simulator === null ? [] : [simulator.router])],
    pages: [
      billingPages({
        billing: service, usage, wouldHold: downgrade.wouldHold, countProfiles: deps.countProfiles, countEndpoints: deps.countEndpoints, mediaBytesOf: deps.mediaBytesOf, countHeld,
        heldVersion: holds.versionOf, notifier, isSimulated,
      }),
      adminPages({ billing: service, intake, events, usage, listAccounts: deps.listAccounts }),
    ],
    async notices(accountId) {
      const [view, used, held, mediaBytes] = await Promise.all([service.viewOf(accountId), usage.usageOf(accountId), countHeld(accountId), deps.mediaBytesOf(accountId)]);
      return planNotices({ view, usage: used, held, mediaBytes });
    },
    // Whoever came by another name of this machine is led to the public one.
    formOrigins: () => (isSimulated ? [new URL(deps.publicUrl()).origin] : STRIPE_PAGES),
    async stop() {
      simulator?.stop();
      await intake.stop();
      await service.idle();
      await downgrade.stop();
    },
  };
}

/** Billing may have been on before: what plans held goes on now that there are none. */
function releaseAllHeld({ db, jobs, holding, log }: BillingDeps): void {
  const holds = createHoldStore(db);
  jobs.sweep('held posts', HOLDS_EVERY_MS, async () => {
    for (const { accountId } of await holds.list('', 1_000)) {
      const version = await holds.versionOf(accountId);
      await holding.release(await holding.held(accountId));
      if (version !== null && (await holding.held(accountId)).length === 0) await holds.remove(accountId, version);
      log.info({ accountId }, 'billing is off: posts that a plan held go on');
    }
  });
}

function adaptersOf({ config, simulatorSecret }: BillingDeps): BillingAdapter[] {
  if (config.billing === 'simulated') return [createStripeAdapter({ secrets: [simulatorSecret], provider: 'simulated' })];
  return [
    ...(config.stripeWebhookSecrets.length > 0 ? [createStripeAdapter({ secrets: config.stripeWebhookSecrets })] : []),
    ...(config.paddleWebhookSecrets.length > 0 ? [createPaddleAdapter({ secrets: config.paddleWebhookSecrets })] : []),
  ];
}

function apiOf(deps: BillingDeps): BillingApi | null {
  const { billing, stripeApiKey, stripeApiUrl } = deps.config;
  if (billing === 'simulated') return createStripeApi({ apiKey: simulatorKey(deps), apiUrl: () => deps.localUrl() + SIMULATED_PAYMENTS, provider: 'simulated' });
  return stripeApiKey === null ? null : createStripeApi({ apiKey: stripeApiKey, apiUrl: () => stripeApiUrl });
}

function simulatorKey({ simulatorSecret }: BillingDeps): string {
  return `sk_test_${simulatorSecret.slice(0, 24)}`;
}

function simulatorOf(deps: BillingDeps, plans: PlanBook): BillingSimulator {
  return createBillingSimulator({
    signpostUrl: deps.publicUrl, file: path.join(deps.config.dataDir, 'billing-simulator.json'), plans,
    apiKey: simulatorKey(deps), secret: deps.simulatorSecret, hookUrl: () => `${deps.localUrl()}/hooks/billing/stripe`, log: deps.log,
  });
}

function eventOf({ id, at, sequence, accountId, before, after }: SubscriptionChanged, profileId: string): SubscriptionEventInput {
  const text = (time: Date | null): string | null => time?.toISOString() ?? null;
  return {
    id, type: 'subscription.changed', at, sequence, accountId, profileId,
    data: {
      plan: after.planKey, planName: after.planName, source: after.source, status: after.status,
      periodEnd: text(after.periodEnd), cancelAt: text(after.cancelAt), graceUntil: text(after.graceUntil), trialEndsAt: text(after.trialEndsAt), previousPlan: before?.planKey ?? null,
    },
  };
}

function quotaEventOf({ id, at, accountId, plan, limit, month, resetsAt }: LimitReached, profileId: string, changePlanUrl: string): QuotaEventInput {
  const data = { what: 'postsPerMonth' as const, plan: plan.key, planName: plan.name, limit, month, resetsAt: resetsAt.toISOString(), changePlanUrl };
  return { id, type: 'quota.reached', at, sequence: 0, accountId, profileId, data };
}
