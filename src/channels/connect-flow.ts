/** Connecting a channel: the browser goes to the network with a single-use state and PKCE, and comes back with a code. */
import { createHash } from 'node:crypto';
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import { newToken } from '../lib/ids.js';
import type { Seal } from '../lib/seal.js';
import { PlatformFailure, type ConnectFields, type CredentialGrant, type OAuth, type Platform } from '../platforms/platform.js';
import { findPlatform } from '../platforms/registry.js';
import type { Channel } from './channel.js';
import { channelEvent } from './channel-events.js';
import type { TellDeps } from './sign-out.js';
import type { ChannelCredentials } from './channel-credentials.js';
import { ioFor, kindOf, wayOf, type ChannelIoDeps, type ConnectWay, type NetworkKind } from './channel-io.js';
import type { ConnectAttempt, ConnectAttemptStore } from './connect-attempt-store.js';

export interface ConnectFlowDeps extends ChannelIoDeps, TellDeps {
  attempts: ConnectAttemptStore;
  credentials: ChannelCredentials;
  seal: Seal;
  /** Where networks send the browser back to: `PUBLIC_URL/channels/callback`. */
  callbackUrl: () => string;
  /** A channel can be used (again): held posts may go. */
  onConnected(channel: Channel): Promise<void>;
}

/** What the network's redirect brought along. */
export interface Return {
  state: string;
  code: string | null;
  /** OAuth's error code, e.g. `access_denied`. */
  error: string | null;
}

/** Not connecting is a normal outcome: `problem` says in plain words why. */
export type ConnectOutcome = { channel: Channel; problem: null } | { channel: null; problem: string };

const ATTEMPT_MS = 10 * 60_000;

export function createConnectFlow(deps: ConnectFlowDeps) {
  const { store, attempts, credentials, seal, clock, log } = deps;

  async function exchange(attempt: ConnectAttempt, code: string): Promise<ConnectOutcome> {
    const { platform, oauth } = byConsent(attempt.platform);
    const kind = kindOf(attempt);
    const codeVerifier = seal.unseal(attempt.sealedVerifier, contextOf(attempt.userId));
    const grant = await oauth.exchange({ code, redirectUri: attempt.redirectUri, codeVerifier }, ioFor(platform, kind, deps));
    return keep(attempt, platform, kind, grant);
  }

  /** Asks whose account it is, and stores the channel. */
  async function keep({ accountId, profileId }: Pick<Actor, 'accountId' | 'profileId'>, platform: Platform, kind: NetworkKind, grant: CredentialGrant): Promise<ConnectOutcome> {
    const identity = await platform.verify(grant.credentials, ioFor(platform, kind, deps));
    const profile = await deps.profileOf(profileId);
    const channel = await store.connect({
      accountId, profileId, platform: platform.id, simulated: kind === 'simulated', identity, expiresAt: grant.expiresAt, now: clock.now(),
      seal: (channelId) => credentials.sealFor(channelId, grant.credentials),
      event: (id) => channelEvent('channel.connected', { id, accountId, profileId, platform: platform.id, ...identity, problem: null }, profile, clock.now()),
    });
    if (channel === null) return alreadyConnected(platform, profileId);
    log.info({ channelId: channel.id, platform: platform.id }, 'channel connected');
    deps.eventsWritten();
    await deps.onConnected(channel);
    return { channel, problem: null };
  }

  async function grantTyped(actor: Actor, platform: Platform, kind: NetworkKind, connectFields: ConnectFields, values: Record<string, string>): Promise<ConnectOutcome> {
    try {
      return await keep(actor, platform, kind, await connectFields.grant(values, ioFor(platform, kind, deps)));
    } catch (error) {
      if (!(error instanceof PlatformFailure)) throw error;
      const message = error.kind === 'signed-out' ? `${platform.name} doesn't accept this. Check it and try again.` : explain(error, platform.name);
      throw new AppError('invalid', ErrorCode.badRequest, message, { fields: [{ field: wrongField(error, connectFields), message }] });
    }
  }

  async function alreadyConnected(platform: Platform, profileId: string): Promise<ConnectOutcome> {
    const other = await store.findInSlot(profileId, platform.id);
    const who = other === null ? 'Another account' : `@${other.username}`;
    return { channel: null, problem: `${who} of ${platform.name} is connected already, and there is one channel per platform. Disconnect it first, then connect the other account.` };
  }

  function requireWay(platform: Platform, kind: NetworkKind): ConnectWay {
    const way = wayOf(platform, kind, deps);
    if (way === null) throw new AppError('not-found', ErrorCode.notFound, `${kind === 'real' ? 'Real' : 'Simulated'} accounts of ${platform.name} can't be connected here. The operator of this Signpost can change that.`);
    return way;
  }

  return {
    /** How each network can be connected here, real or simulated. */
    waysOf(platform: Platform): Record<NetworkKind, ConnectWay | null> {
      return { real: wayOf(platform, 'real', deps), simulated: wayOf(platform, 'simulated', deps) };
    },

    /**
     * @returns the address of the network's consent page; null when something has to be typed instead
     * @throws AppError `not-found` for a platform that can't be connected there, `unavailable` when it can't be reached
     */
    async begin(actor: Actor, platformId: string, kind: NetworkKind): Promise<string | null> {
      const found = known(platformId);
      const way = requireWay(found, kind);
      if (way === 'fields') return null;
      const { platform, oauth } = byConsent(platformId);
      const userId = personOf(actor);
      const state = newToken();
      const codeVerifier = newToken();
      const redirectUri = deps.callbackUrl();
      await attempts.insert(state, {
        userId, accountId: actor.accountId, profileId: actor.profileId, platform: platform.id, simulated: kind === 'simulated', redirectUri,
        sealedVerifier: seal.seal(codeVerifier, contextOf(userId)), expiresAt: new Date(clock.now().getTime() + ATTEMPT_MS),
      });
      const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
      return oauth.authorizeUrl({ state, redirectUri, codeChallenge }, ioFor(platform, kind, deps));
    },

    /** What is typed to connect a platform; `sourceUrl`: where the simulated network gives it. @throws AppError `not-found` */
    typedFields(platformId: string, kind: NetworkKind): { platform: Platform; connectFields: ConnectFields; sourceUrl: string | null } {
      const { platform, connectFields } = byTyping(platformId);
      requireWay(platform, kind);
      return { platform, connectFields, sourceUrl: kind === 'real' ? null : `${ioFor(platform, kind, deps).baseUrls.web}${connectFields.simulatedSource}` };
    },

    /** Connects with what was typed. @throws AppError `invalid` when the network doesn't take it, `conflict` when another account is connected */
    async connectTyped(actor: Actor, platformId: string, kind: NetworkKind, values: Record<string, string>): Promise<Channel> {
      const { platform, connectFields } = byTyping(platformId);
      requireWay(platform, kind);
      personOf(actor);
      const missing = missingFields(connectFields, values);
      if (missing.length > 0) throw new AppError('invalid', ErrorCode.badRequest, 'Something is missing.', { fields: missing });
      const outcome = await grantTyped(actor, platform, kind, connectFields, values);
      if (outcome.channel === null) throw new AppError('conflict', ErrorCode.conflict, outcome.problem);
      return outcome.channel;
    },

    /** Takes what came back from the network; a refusal, an old or a foreign return is an outcome, not an error. */
    async finish(actor: Actor, back: Return): Promise<ConnectOutcome> {
      const attempt = await attempts.take(back.state, personOf(actor), actor.profileId, clock.now());
      if (attempt === null) return { channel: null, problem: UNKNOWN_ATTEMPT };
      const { name } = known(attempt.platform);
      if (back.error === 'access_denied') return { channel: null, problem: `Nothing was connected: ${name} was not allowed to give access. You can try again any time.` };
      if (back.error !== null || back.code === null) return { channel: null, problem: `${name} sent you back without access${back.error === null ? '' : ` (${back.error.slice(0, 100)})`}. Try again.` };
      try {
        return await exchange(attempt, back.code);
      } catch (error) {
        if (!(error instanceof PlatformFailure)) throw error;
        log.warn({ err: error, platform: attempt.platform }, 'connecting failed');
        return { channel: null, problem: explain(error, name) };
      }
    },
  };
}

/** Which field to mark: the one that the adapter names; a sign-in is refused for its secret. */
function wrongField({ kind, options }: PlatformFailure, { fields }: ConnectFields): string {
  const secret = kind === 'signed-out' ? fields.find(({ isSecret }) => isSecret) : undefined;
  return options.field ?? (secret ?? fields[0]!).name;
}

const UNKNOWN_ATTEMPT = 'This return from a network is not known here: it took longer than 10 minutes, was used already, or was begun by someone else. Connect the channel again.';

function explain(failure: PlatformFailure, name: string): string {
  if (failure.kind === 'signed-out') return `${name} did not accept the sign-in: it took too long or was used already. Connect the channel again.`;
  if (failure.kind === 'rejected') return failure.message;
  return `${name} can't be reached right now, so nothing was connected. Try again in a minute.`;
}

function known(platformId: string): Platform {
  const platform = findPlatform(platformId);
  if (platform === undefined) throw new AppError('not-found', ErrorCode.notFound, 'There is no such platform to connect.');
  return platform;
}

function byConsent(platformId: string): { platform: Platform; oauth: OAuth } {
  const platform = known(platformId);
  if (platform.oauth === undefined) throw new AppError('not-found', ErrorCode.notFound, `${platform.name} has no consent page.`);
  return { platform, oauth: platform.oauth };
}

function byTyping(platformId: string): { platform: Platform; connectFields: ConnectFields } {
  const platform = known(platformId);
  if (platform.connectFields === undefined) throw new AppError('not-found', ErrorCode.notFound, `${platform.name} is connected on its consent page.`);
  return { platform, connectFields: platform.connectFields };
}

function missingFields({ fields }: ConnectFields, values: Record<string, string>): FieldProblem[] {
  return fields.filter(({ name }) => (values[name] ?? '').trim() === '').map(({ name }) => ({ field: name, message: 'This is required.' }));
}

function personOf(actor: Actor): string {
  if (actor.userId === null) throw new AppError('forbidden', ErrorCode.forbidden, 'Channels are connected in the browser by a signed-in person.');
  return actor.userId;
}

function contextOf(userId: string): string {
  return `connect:${userId}`;
}
