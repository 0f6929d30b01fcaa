/** The only file that builds things and joins them; read from top to bottom. */
import { createServer, type Server } from 'node:http';
import express from 'express';
import { accountPages, visitorPages } from './accounts/account-pages.js';
import { createAccountService } from './accounts/account-service.js';
import { accountIndexes, createAccountStore } from './accounts/account-store.js';
import { apiKeyPages } from './accounts/api-key-pages.js';
import { createApiKeyService } from './accounts/api-key-service.js';
import { apiKeyIndexes, createApiKeyStore } from './accounts/api-key-store.js';
import { createAuthenticator } from './accounts/authenticator.js';
import { homePages } from './accounts/home-pages.js';
import { createLoginLimit, loginLimitIndexes } from './accounts/login-limit.js';
import { profileApi } from './accounts/profile-api.js';
import { profileChoice } from './accounts/profile-choice.js';
import { profilePages } from './accounts/profile-pages.js';
import { primaryProfileId } from './accounts/profile.js';
import { createProfileService } from './accounts/profile-service.js';
import { createProfileStore, profileIndexes } from './accounts/profile-store.js';
import { createSessionStore, sessionIndexes } from './accounts/session-store.js';
import { consentOrigins } from './channels/channel-io.js';
import { channelPages } from './channels/channel-pages.js';
import { createChannelService } from './channels/channel-service.js';
import { channelIndexes, createChannelStore } from './channels/channel-store.js';
import type { ChannelEvent } from './channels/channel-events.js';
import { connectAttemptIndexes, createConnectAttemptStore } from './channels/connect-attempt-store.js';
import { troublePages } from './channels/trouble-pages.js';
import { userApi } from './channels/user-api.js';
import { createSettling } from './billing/usage-service.js';
import { createUsageStore } from './billing/usage-store.js';
import { allBillingIndexes, composeBilling, type Billing } from './compose-billing.js';
import { findDatabase, startDatabase } from './compose-database.js';
import { composePublishing } from './compose-publishing.js';
import { boundPort, closeServer, listen, localHost, reachableHost } from './compose-server.js';
import { findWebProcess, startOwnSimulator } from './compose-simulator.js';
import { composeWebhooks, webhookIndexesFor } from './compose-webhooks.js';
import { composeMedia } from './compose-media.js';
import { composeRealNetworks } from './compose-networks.js';
import type { Config } from './config.js';
import { connectDatabase, ensureIndexes } from './db/database.js';
import { rememberAddresses, requireSameKey } from './db/instance.js';
import { createFactOutbox } from './db/outbox.js';
import { createWorkerRegistry, expireLeases } from './db/workers.js';
import { lockDataDir } from './compose-data-dir.js';
import { health } from './http/health.js';
import { endLiveStreams } from './http/live.js';
import { createWebApp } from './http/web-app.js';
import { createAgendaJobs, wakeupIndexes } from './jobs/agenda-jobs.js';
import { systemClock, type Clock } from './lib/clock.js';
import { createHttpClient } from './lib/http-client.js';
import { newToken } from './lib/ids.js';
import type { Actor } from './lib/actor.js';
import type { Logger } from './lib/logger.js';
import { createMailer } from './lib/mailer.js';
import { createNotifier } from './lib/notifier.js';
import { machineId } from './lib/processes.js';
import { createSeal } from './lib/seal.js';
import { dataDirId, deriveKey, keyFingerprint, loadSecretKey } from './lib/secret-key.js';
import type { Platform, PlatformUrls } from './platforms/platform.js';
import { mediaIndexes } from './media/media-store.js';
import { findPlatform, platforms } from './platforms/registry.js';
import type { SimulatorSettings } from './platforms/simulator/network.js';
import { postApi } from './posts/post-api.js';
import { createPostHolding } from './posts/post-holding.js';
import { postPages } from './posts/post-pages.js';
import { createPostService } from './posts/post-service.js';
import { postIndexes } from './posts/post-store.js';
import { createTakeDown } from './publishing/take-down.js';
import type { RetryPolicy } from './publishing/retry-policy.js';
import { turnIndexes } from './publishing/turn-store.js';
import { createSettled } from './publishing/settled.js';

export interface ComposeOptions {
  log: Logger;
  clock?: Clock;
  /** Shorter waits, for tests and the demonstration. */
  retryPolicy?: Partial<RetryPolicy>;
  simulator?: Partial<SimulatorSettings>;
  /** Other addresses of real networks, for tests: no test may call the real ones. */
  networkUrls?: (platform: Platform) => PlatformUrls;
}

/** What runs: the parts that tests and the command line use besides the web. */
export interface App {
  /** Listens, and starts the clock. @returns url: '' for a worker that listens nowhere */
  start(): Promise<{ url: string; isFirstRun: boolean }>;
  /** In order: stop listening, let what runs end, close the database. */
  stop(): Promise<void>;
  url(): string;
  simulatorUrl(): string;
}

const BEAT_EVERY_MS = 5_000;
/** For events whose process died before it relayed them. */
const CHANNEL_EVENTS_EVERY_MS = 15_000;
/** Whose documents are leased. */
const LEASED = ['posts', 'profile_turns', 'webhook_deliveries'];
const USER_AGENT = 'Signpost/0.1';
/** What may still run when the program is asked to stop; `main` gives up after 9.5 s in all. */
const GRACE_MS = 6_000;

export async function compose(config: Config, options: ComposeOptions): Promise<App> {
  const { log, clock = systemClock } = options;
  const { web: isWeb, worker: isWorker } = config.roles;
  // One web process for one data directory, also on a MongoDB of one's own: the simulator's journal has one writer.
  const lock = isWeb ? await lockDataDir(config.dataDir) : null;
  const database = isWeb ? await startDatabase(config.mongodbUri, config.dataDir, log) : await findDatabase(config.mongodbUri, config.dataDir);
  const key = loadSecretKey(config.secretKey, config.dataDir);
  const { client, db, close: disconnect } = await connectDatabase(database.uri);
  await ensureIndexes(db, [
    ...accountIndexes, ...profileIndexes, ...apiKeyIndexes, ...sessionIndexes, ...loginLimitIndexes, ...channelIndexes, ...connectAttemptIndexes, ...postIndexes, ...mediaIndexes, ...turnIndexes, ...webhookIndexesFor(config.webhookRetentionDays), ...wakeupIndexes, ...(config.billing === 'off' ? [] : allBillingIndexes),
  ]);
  await requireSameKey(db, keyFingerprint(key));
  // Who holds the lock of the data directory knows that whoever leased under its name is dead; other workers have names of their own.
  const group = isWeb ? dataDirId(config.dataDir) : 'worker';
  const owner = `${group}-${newToken(12)}`;
  if (isWeb) await expireLeases(db, LEASED, new RegExp(`^${group}-`), clock.now());
  const workers = createWorkerRegistry(db, owner, LEASED);

  // Shells
  const seal = createSeal(key);
  const notifier = createNotifier();
  const jobs = createAgendaJobs({ db, clock, log, takesWakeUps: isWorker });
  let server: Server | null = null;
  const webProcess = isWeb ? null : await findWebProcess(db);
  const publicUrl = (): string => webProcess?.addresses()?.publicUrl ?? config.publicUrl ?? `http://${reachableHost(config.host)}:${boundPort(server) ?? config.port}`;
  const localUrl = (): string => webProcess?.addresses()?.localUrl ?? `http://${localHost(config.host)}:${boundPort(server) ?? config.port}`;
  const loopbackOnly = config.loopbackOnly && (webProcess === null || webProcess.addresses()?.loopbackOnly === true);

  // Accounts
  let billing: Billing | null = null;
  const profiles = createProfileService({
    store: createProfileStore(db), clock,
    limitOf: async (accountId) => (await billing?.service.planOf(accountId))?.limits.profiles ?? null,
    async clear(actor) {
      await posts.cancelAllScheduled(actor);
      for (const { id } of await channels.list(actor)) await channels.disconnect(actor, id);
      for (const { id, profileId } of await webhooks.endpoints.list(actor)) if (profileId === actor.profileId) await webhooks.endpoints.remove(actor, id);
      await media.service.removeAll(actor);
    },
  });
  const connectedPlatforms = async (actor: Actor): Promise<string[]> => (await channels.list(actor)).filter(({ state }) => state === 'connected').map(({ platform }) => platform);
  const accountStore = createAccountStore(db);
  const accounts = createAccountService({
    store: accountStore, profiles, loginLimit: createLoginLimit(client, db.databaseName), clock, signup: config.signup, loopbackOnly: config.loopbackOnly,
  });
  const apiKeys = createApiKeyService({ store: createApiKeyStore(db), clock, timeZoneOf: async (accountId) => (await accountStore.findUserOfAccount(accountId))?.timeZone ?? 'UTC' });
  const authenticator = createAuthenticator({ accounts, apiKeys });

  // Platforms and their simulator
  const http = createHttpClient({ userAgent: USER_AGENT });
  const simulator = isWeb && config.networks.simulated ? await startOwnSimulator(config, db, log, options.simulator) : null;
  const simulatorAddresses = () => (simulator === null ? (webProcess?.simulator() ?? null) : { callUrl: simulator.url, browserUrl: simulator.publicUrl });
  const realNetworks = composeRealNetworks({ config, userAgent: USER_AGENT, readOwn: (url, maxBytes) => media.service.readOwn(url, maxBytes), ...(options.networkUrls === undefined ? {} : { urlsOf: options.networkUrls }) });

  // Channels
  const channels = createChannelService({
    store: createChannelStore(db), attempts: createConnectAttemptStore(db), seal, http, clock, log,
    simulator: simulatorAddresses, real: realNetworks,
    callbackUrl: () => `${publicUrl()}/channels/callback`,
    onConnected: (channel) => publishing.service.releaseChannel(channel.id),
    profileOf: (profileId) => profiles.get(profileId),
    eventsWritten: () => channelEvents.nudge(),
  });
  const channelEvents = createFactOutbox<ChannelEvent>({ db, collection: 'channels', record: (events) => webhooks.record(events), log });
  jobs.sweep('channel events', CHANNEL_EVENTS_EVERY_MS, () => channelEvents.relay());

  // Webhooks
  const mailer = config.smtpUrl === null ? null : createMailer(config.smtpUrl, config.mailFrom ?? '');
  const webhooks = composeWebhooks({
    db, seal, clock, log, jobs, notifier, publicUrl, userAgent: USER_AGENT, loopbackOnly, allowCidrs: config.webhookAllowCidrs, allowHttp: config.webhookAllowHttp,
    localUrl, owner, delivers: isWorker, sharers: () => workers.count(),
    refId: async (actor) => (await profiles.get(actor.profileId)).refId, profilesOf: (actor) => profiles.list(actor),
    retentionDays: config.webhookRetentionDays, mailer, mailOf: async (accountId) => (await accountStore.findUserOfAccount(accountId))?.email ?? null,
    endpointLimitOf: async (accountId) => (await billing?.service.planOf(accountId))?.limits.endpoints ?? null,
  });

  // Uploaded files
  const mediaLimitOf = async (accountId: string): Promise<number | null> => (await billing?.service.planOf(accountId))?.limits.mediaBytes ?? null;
  const media = composeMedia({ config, db, clock, log, notifier, jobs, isWeb, publicUrl, limitOf: mediaLimitOf });

  // Posts and publishing
  const settleUsage = createSettling({ store: createUsageStore(db), clock, notifier });
  const publishing = composePublishing({
    db, clock, log, jobs, notifier, channels, owner, publishes: isWorker,
    record: async (events) => {
      await settleUsage(events);
      await webhooks.record(events);
    },
    requireRoom: async (post) => billing?.requireRoomAgain(post),
    retryPolicy: { latenessLimitMs: config.lateLimitMs, ...options.retryPolicy },
  });
  const { postStore, outbox } = publishing;

  // Plans; null while billing is off
  const holding = createPostHolding({ store: postStore, clock, notifier, postsDue: publishing.postsDue, eventsWritten: () => outbox.nudge() });
  billing = await composeBilling({
    config, db, clock, log, jobs, notifier, publicUrl, localUrl, isWeb, holding, simulatorSecret: deriveKey(key, 'simulated billing'),
    userOf: (accountId) => accountStore.findUserOfAccount(accountId),
    existingAccounts: (ids) => accountStore.existingAccounts(ids),
    listAccounts: (after, limit) => accountStore.listAccounts(after, limit),
    existingPosts: (ids) => postStore.existing(ids),
    countProfiles: async (actor) => (await profiles.list(actor)).length,
    mediaBytesOf: (accountId) => media.service.usedBytes(accountId),
    countEndpoints: async (actor) => (await webhooks.endpoints.list(actor)).length,
    profileOf: primaryProfileId,
    record: (events) => webhooks.record(events),
  });
  const posts = createPostService({
    store: postStore, channels, profiles, clock, notifier, log, files: media.files, postsDue: publishing.postsDue, eventsWritten: (post, events) => outbox.written(post, events),
    ...(billing === null ? {} : { requireRoom: billing.requireRoom, giveBackRoom: billing.giveBackRoom }),
    takeDown: createTakeDown({ session: (channelId) => channels.session(channelId), markSignedOut: (channelId, problem, refused) => channels.markSignedOut(channelId, problem, refused), log }),
  });
  const settled = createSettled({ find: (id) => postStore.find(id), notifier });
  if (isWorker) jobs.sweep('workers', BEAT_EVERY_MS, () => workers.beat(clock.now()));
  if (webProcess !== null) jobs.sweep('addresses', BEAT_EVERY_MS, () => webProcess.refresh());

  // Web
  const ready = (): Promise<unknown> => db.command({ ping: 1 });
  const app = !isWeb ? express().disable('x-powered-by').use(health(ready)) : createWebApp({
    log,
    isHttps: publicUrl().startsWith('https:'),
    trustProxy: config.trustProxy,
    sessionSecret: deriveKey(key, 'sessions'),
    sessionStore: createSessionStore(client, db.databaseName),
    authenticator,
    profiles: profileChoice(profiles),
    formOrigins: () => [...consentOrigins(platforms, { simulator: simulatorAddresses, real: realNetworks }), ...(billing?.formOrigins() ?? [])],
    ready,
    rawRouters: [webhooks.rawRouter, media.rawRouter, ...(billing?.rawRouters ?? [])],
    apiReaders: [...(billing?.apiReaders ?? []), media.apiReader],
    formFiles: media.formFiles,
    apiRouters: [
      postApi({ posts, profiles, settled, clock, publishing: publishing.service }),
      userApi({
        channels, profiles, clock,
        emailOf: async (accountId) => (await accountStore.findUserOfAccount(accountId))?.email ?? null,
        countPostsThisMonth: (accountId) => postStore.countSince(accountId, startOfMonth(clock.now())),
      }),
      profileApi({ profiles, connectedPlatforms }),
      media.apiRouter,
      ...webhooks.apiRouters,
    ],
    publicPages: [visitorPages({ accounts, authenticator })],
    pages: [
      homePages({
        hasChannel: async (actor) => (await channels.list(actor)).length > 0,
        hasPost: async (actor) => Object.keys(await posts.count(actor)).length > 0,
        hasEndpoint: webhooks.hasEndpoint,
        hasApiKey: async (actor) => (await apiKeys.list(actor)).length > 0,
        countPosts: (actor) => posts.count(actor),
        upcoming: async (actor, limit) => (await posts.list(actor, { statuses: ['scheduled'], order: 'soonest', limit })).map((post) => ({
          id: post.id, text: post.text, at: post.scheduledAt, platforms: post.publications.map(({ platform }) => findPlatform(platform)?.name ?? platform),
        })),
        planNotices: async (actor) => (await billing?.notices(actor.accountId)) ?? [],
        signedOutChannels: async (actor) => (await channels.list(actor)).filter(({ state }) => state === 'signed-out').map(({ platform, username }) => `${findPlatform(platform)?.name ?? platform} @${username}`),
      }),
      accountPages({ accounts, authenticator }),
      apiKeyPages({ apiKeys, publicUrl }),
      profilePages({ profiles, connectedPlatforms, limitOf: async (accountId) => (await billing?.service.planOf(accountId))?.limits.profiles ?? null }),
      channelPages({ channels, countScheduledPosts: ({ profileId, id }) => postStore.countWaiting(profileId, id) }),
      troublePages({ channels, http, simulator: simulatorAddresses }),
      postPages({ posts, channels, clock, notifier, publishing: publishing.service, media: media.service, files: media.files }),
      media.pages,
      ...webhooks.pages,
      ...(billing?.pages ?? []),
    ],
  });
  app.locals['hasBilling'] = billing !== null;

  return {
    async start() {
      if (isWeb || config.isPortGiven) server = await listen(createServer(app), config.host, config.port);
      if (isWeb) await rememberAddresses(db, { machine: machineId(), publicUrl: publicUrl(), localUrl: localUrl(), loopbackOnly, simulator: simulatorAddresses() });
      // Listed before anything is leased: who finds this process dead knows what it held.
      if (isWorker) await workers.beat(clock.now());
      await jobs.start();
      return { url: isWeb ? publicUrl() : server === null ? '' : `http://${reachableHost(config.host)}:${boundPort(server)}`, isFirstRun: (await accounts.signUpState()) === 'first' };
    },

    async stop() {
      endLiveStreams(app);
      const closed = closeServer(server, GRACE_MS);
      await jobs.stop();
      await publishing.stop(GRACE_MS);
      await channelEvents.stop();
      await webhooks.stop(GRACE_MS / 3);
      mailer?.stop();
      await billing?.stop();
      await closed;
      await simulator?.stop();
      await workers.leave();
      await disconnect();
      await database.stop();
      lock?.release();
    },

    url: publicUrl,
    simulatorUrl: () => simulatorAddresses()?.callUrl ?? '',
  };
}

function startOfMonth(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
}
