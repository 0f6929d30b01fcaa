/** The only file that builds things and joins them; read from top to bottom. */
import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import path from 'node:path';
import type { AddressInfo } from 'node:net';
import { accountPages, visitorPages } from './accounts/account-pages.js';
import { createAccountService } from './accounts/account-service.js';
import { accountIndexes, createAccountStore } from './accounts/account-store.js';
import { apiKeyPages } from './accounts/api-key-pages.js';
import { createApiKeyService } from './accounts/api-key-service.js';
import { apiKeyIndexes, createApiKeyStore } from './accounts/api-key-store.js';
import { createAuthenticator } from './accounts/authenticator.js';
import { homePages } from './accounts/home-pages.js';
import { createLoginLimit, loginLimitIndexes } from './accounts/login-limit.js';
import { createProfileService } from './accounts/profile-service.js';
import { createProfileStore, profileIndexes } from './accounts/profile-store.js';
import { createSessionStore, sessionIndexes } from './accounts/session-store.js';
import { channelPages } from './channels/channel-pages.js';
import { createChannelService } from './channels/channel-service.js';
import { channelIndexes, createChannelStore } from './channels/channel-store.js';
import type { Channel } from './channels/channel.js';
import { connectAttemptIndexes, createConnectAttemptStore } from './channels/connect-attempt-store.js';
import { troublePages } from './channels/trouble-pages.js';
import { userApi } from './channels/user-api.js';
import { startDatabase } from './compose-database.js';
import { composeWebhooks, webhookIndexes } from './compose-webhooks.js';
import type { Config } from './config.js';
import { connectDatabase, ensureIndexes } from './db/database.js';
import { expireLeases } from './db/leases.js';
import { rememberSimulatorPort, requireSameKey, simulatorPort } from './db/instance.js';
import { takeLock, type DataLock } from './embedded-mongodb/data-lock.js';
import { endLiveStreams } from './http/live.js';
import { createWebApp } from './http/web-app.js';
import { createAgendaJobs, wakeupIndexes } from './jobs/agenda-jobs.js';
import { systemClock, type Clock } from './lib/clock.js';
import { createHttpClient } from './lib/http-client.js';
import { newId } from './lib/ids.js';
import type { Logger } from './lib/logger.js';
import { createNotifier } from './lib/notifier.js';
import { createSeal } from './lib/seal.js';
import { startProblem } from './lib/start-problem.js';
import { dataDirId, deriveKey, keyFingerprint, loadSecretKey } from './lib/secret-key.js';
import { findPlatform, simulatedNetworks } from './platforms/registry.js';
import type { SimulatorSettings } from './platforms/simulator/network.js';
import { startSimulator } from './platforms/simulator/simulator.js';
import { postApi } from './posts/post-api.js';
import { createPostOutbox } from './posts/post-outbox.js';
import { postPages } from './posts/post-pages.js';
import { createPostService } from './posts/post-service.js';
import { createPostStore, postIndexes } from './posts/post-store.js';
import type { Post } from './posts/post.js';
import { createPublisher } from './publishing/publisher.js';
import { createPublishingService } from './publishing/publishing-service.js';
import { createTakeDown } from './publishing/take-down.js';
import { defaultRetryPolicy, type RetryPolicy } from './publishing/retry-policy.js';
import { createSettled } from './publishing/settled.js';
import type { ChannelEventType } from './webhooks/event.js';

export interface ComposeOptions {
  log: Logger;
  clock?: Clock;
  /** Shorter waits, for tests and the demonstration. */
  retryPolicy?: Partial<RetryPolicy>;
  simulator?: Partial<SimulatorSettings>;
}

/** What runs: the parts that tests and the command line use besides the web. */
export interface App {
  /** Listens, and starts the clock. */
  start(): Promise<{ url: string; isFirstRun: boolean }>;
  /** In order: stop listening, let what runs end, close the database. */
  stop(): Promise<void>;
  url(): string;
  simulatorUrl(): string;
}

const SWEEP_EVERY_MS = 5_000;
const PUBLISH = 'publish';
const USER_AGENT = 'Signpost/0.1';
/** What may still run when the program is asked to stop; `main` gives up after 9.5 s in all. */
const GRACE_MS = 6_000;

export async function compose(config: Config, options: ComposeOptions): Promise<App> {
  const { log, clock = systemClock } = options;
  const lock = await lockDataDir(config.dataDir);
  const key = loadSecretKey(config.secretKey, config.dataDir);
  const database = await startDatabase(config.mongodbUri, config.dataDir, log);
  const { client, db, close: disconnect } = await connectDatabase(database.uri);
  await ensureIndexes(db, [
    ...accountIndexes, ...profileIndexes, ...apiKeyIndexes, ...sessionIndexes, ...loginLimitIndexes, ...channelIndexes, ...connectAttemptIndexes, ...postIndexes, ...webhookIndexes, ...wakeupIndexes,
  ]);
  await requireSameKey(db, keyFingerprint(key));
  // The embedded database refuses a second process on its files.
  if (config.mongodbUri === null) await expireLeases(db, ['webhook_deliveries'], clock.now());

  // Shells
  const seal = createSeal(key);
  const notifier = createNotifier();
  const jobs = createAgendaJobs({ db, clock, log });
  let server: Server | null = null;
  const publicUrl = (): string => config.publicUrl ?? `http://${reachableHost(config.host)}:${boundPort(server) ?? config.port}`;

  // Accounts
  const profiles = createProfileService({ store: createProfileStore(db), clock });
  const accountStore = createAccountStore(db);
  const accounts = createAccountService({
    store: accountStore, profiles, loginLimit: createLoginLimit(client, db.databaseName), clock, signup: config.signup, loopbackOnly: config.loopbackOnly,
  });
  const apiKeys = createApiKeyService({ store: createApiKeyStore(db), clock, timeZoneOf: async (accountId) => (await accountStore.findUserOfAccount(accountId))?.timeZone ?? 'UTC' });
  const authenticator = createAuthenticator({ accounts, apiKeys });

  // Platforms and their simulator
  const http = createHttpClient({ userAgent: USER_AGENT });
  const simulator = await startSimulatorSomewhere();
  const simulatorAddresses = () => ({ callUrl: simulator.url, browserUrl: simulator.publicUrl });

  // Channels
  const channels = createChannelService({
    store: createChannelStore(db), attempts: createConnectAttemptStore(db), seal, http, clock, log,
    simulator: simulatorAddresses,
    callbackUrl: () => `${publicUrl()}/channels/callback`,
    onConnected: (channel) => publishing.releaseChannel(channel.id),
    onLinked: (channel) => tellOfChannel('channel.connected', channel),
    onSignedOut: (channel) => tellOfChannel('channel.signed_out', channel),
    onDisconnected: (channel) => tellOfChannel('channel.disconnected', channel),
  });
  const tellOfChannel = async (type: ChannelEventType, channel: Channel): Promise<void> => {
    const { refId, title } = await profiles.get(channel.profileId);
    const { accountId, profileId, platform, username, displayName, problem } = channel;
    const at = clock.now();
    await webhooks.record([{ id: newId('evt', at), type, at, sequence: 0, accountId, profileId, data: { channelId: channel.id, platform, username, displayName, refId, title, problem } }]);
  };

  // Webhooks
  const webhooks = composeWebhooks({
    db, seal, clock, log, jobs, notifier, publicUrl, userAgent: USER_AGENT, loopbackOnly: config.loopbackOnly, allowCidrs: config.webhookAllowCidrs, allowHttp: config.webhookAllowHttp,
    localUrl: () => `http://${localHost(config.host)}:${boundPort(server) ?? config.port}`,
    refId: async (actor) => (await profiles.get(actor.profileId)).refId,
  });

  // Posts and publishing
  const postStore = createPostStore(db);
  // We hold the lock of the data directory, so whoever leased posts under its name is dead.
  const owner = dataDirId(config.dataDir);
  await postStore.expireLeases(owner);
  const outbox = createPostOutbox({ store: postStore, record: (events) => webhooks.record(events), log });
  const tellAbout = (post: Post): void => {
    notifier.notify(`post:${post.id}`);
    notifier.notify(`account:${post.accountId}:posts`);
  };
  const publisher = createPublisher({
    posts: postStore,
    owner,
    session: (channelId) => channels.session(channelId),
    markSignedOut: (channelId, problem) => channels.markSignedOut(channelId, problem),
    policy: { ...defaultRetryPolicy, ...options.retryPolicy },
    now: () => clock.now(),
    random: Math.random,
    wakeAt: (at) => jobs.wakeAt(PUBLISH, '', at),
    onSaved: (post, events) => {
      tellAbout(post);
      if (events.length > 0) outbox.nudge();
    },
    log,
  });
  const posts = createPostService({
    store: postStore, channels, profiles, clock, notifier, log, postsDue: (due) => publisher.posted(due), eventsWritten: () => outbox.nudge(),
    takeDown: createTakeDown({ session: (channelId) => channels.session(channelId), log }),
  });
  const publishing = createPublishingService({ posts: postStore, now: () => clock.now(), posted: (due) => publisher.posted(due), onSaved: (post) => { tellAbout(post); outbox.nudge(); } });
  const settled = createSettled({ find: (id) => postStore.find(id), notifier });
  jobs.handle(PUBLISH, () => publisher.claimDue());
  jobs.sweep('due posts', SWEEP_EVERY_MS, () => publisher.sweep());
  jobs.sweep('outbox', SWEEP_EVERY_MS, () => outbox.relay());

  // Web
  const app = createWebApp({
    log,
    isHttps: publicUrl().startsWith('https:'),
    trustProxy: config.trustProxy,
    sessionSecret: deriveKey(key, 'sessions'),
    sessionStore: createSessionStore(client, db.databaseName),
    authenticator,
    formOrigins: () => [new URL(simulator.publicUrl).origin],
    ready: () => db.command({ ping: 1 }),
    rawRouters: [webhooks.rawRouter],
    apiRouters: [
      postApi({ posts, profiles, settled, clock, publishing }),
      userApi({
        channels, profiles, clock,
        emailOf: async (accountId) => (await accountStore.findUserOfAccount(accountId))?.email ?? null,
        countPostsThisMonth: (accountId) => postStore.countSince(accountId, startOfMonth(clock.now())),
      }),
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
        signedOutChannels: async (actor) => (await channels.list(actor)).filter(({ state }) => state === 'signed-out').map(({ platform, username }) => `${findPlatform(platform)?.name ?? platform} @${username}`),
      }),
      accountPages({ accounts, authenticator }),
      apiKeyPages({ apiKeys, publicUrl }),
      channelPages({ channels, countScheduledPosts: (channelId) => postStore.countWaitingByChannel(channelId) }),
      troublePages({ channels, http, simulator: simulatorAddresses }),
      postPages({ posts, channels, clock, notifier, publishing }),
      ...webhooks.pages,
    ],
  });

  return {
    async start() {
      server = await listen(createServer(app), config.host, config.port);
      await jobs.start();
      return { url: publicUrl(), isFirstRun: (await accounts.signUpState()) === 'first' };
    },

    async stop() {
      endLiveStreams(app);
      const closed = closeServer(server);
      await jobs.stop();
      await publisher.stop(GRACE_MS);
      await outbox.stop();
      await webhooks.stop(GRACE_MS / 3);
      await closed;
      await simulator.stop();
      await disconnect();
      await database.stop();
      lock.release();
    },

    url: publicUrl,
    simulatorUrl: () => simulator.url,
  };

  /** On the port that was asked for; else on the one that links to simulated posts already name, or the one after ours, or any. */
  async function startSimulatorSomewhere(): ReturnType<typeof startSimulator> {
    const wanted = config.simulatorPort !== null ? [config.simulatorPort] : [await simulatorPort(db), config.port === 0 ? null : config.port + 1, 0].filter((port) => port !== null);
    for (const port of wanted) {
      try {
        const started = await startSimulator({
          host: config.host, port, journalFile: path.join(config.dataDir, 'simulator.jsonl'), networks: simulatedNetworks, log,
          ...(config.simulatorPublicUrl === null ? {} : { publicUrl: config.simulatorPublicUrl }),
          ...(options.simulator === undefined ? {} : { settings: options.simulator }),
        });
        await rememberSimulatorPort(db, started.port);
        return started;
      } catch (error) {
        if (!isPortTaken(error)) throw error;
        if (port === wanted.at(-1)) throw startProblem(`Port ${port}, meant for the simulated networks, is taken by another program. Set SIMULATOR_PORT to another one.`, error);
      }
    }
    throw new Error('unreachable: the last port either serves or throws');
  }
}

/** One Signpost for one data directory, also on a MongoDB of one's own: the simulator's journal has one writer. */
async function lockDataDir(dataDir: string): Promise<DataLock> {
  try {
    return await takeLock(dataDir);
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'DATA_DIR_IN_USE';
    if (!isTaken) throw error;
    throw startProblem(`Another Signpost is running on the data directory ${dataDir}. Stop it first, or set DATA_DIR to another folder.`, error);
  }
}

function listen(server: Server, host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(isPortTaken(error) ? startProblem(`Port ${port} is taken by another program. Set PORT to another one, e.g. PORT=3001 npm start.`) : error);
    });
    server.listen(port, host, () => resolve(server));
  });
}

/** Answers what is under way, then lets go of connections that idle. */
function closeServer(server: Server | null): Promise<void> {
  if (server === null) return Promise.resolve();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
  return closed;
}

function boundPort(server: Server | null): number | null {
  const address = server?.address() as AddressInfo | null | undefined;
  return address?.port ?? null;
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function startOfMonth(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
}

/** A wildcard address can be listened on but not visited. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostname();
  return host.includes(':') ? `[${host}]` : host;
}

/** A wildcard address is reached from this machine by loopback. */
function localHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
