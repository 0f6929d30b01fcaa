/** Channels through their service, against the simulator: connecting, reconnecting, refreshing, signing out, disconnecting. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import axios from 'axios';
import type { Actor } from '../../src/lib/actor.js';
import { AppError } from '../../src/lib/app-error.js';
import { createHttpClient } from '../../src/lib/http-client.js';
import { newId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import { createSeal } from '../../src/lib/seal.js';
import { createChannelService, type ChannelService } from '../../src/channels/channel-service.js';
import { channelIndexes, createChannelStore } from '../../src/channels/channel-store.js';
import type { Channel } from '../../src/channels/channel.js';
import { connectAttemptIndexes, createConnectAttemptStore } from '../../src/channels/connect-attempt-store.js';
import { ensureIndexes } from '../../src/db/database.js';
import { PlatformFailure } from '../../src/platforms/platform.js';
import { consent, openSimulator, type TestSimulator } from '../platforms/simulated.js';
import { temporaryDatabase } from '../support/temporary-database.js';

const HOUR = 3600_000;

describe('channels', async () => {
  const { db } = await temporaryDatabase();
  let sim: TestSimulator;
  let aheadMs = 0;
  const heard: string[] = [];
  const http = createHttpClient({ userAgent: 'signpost-test', keepAliveMs: 500 });
  const seal = createSeal(randomBytes(32));

  /** As another process would have it, on the same database. */
  function openService(): ChannelService {
    const say = (what: string) => async (channel: Channel): Promise<void> => void heard.push(`${what} ${channel.username}`);
    return createChannelService({
      store: createChannelStore(db), attempts: createConnectAttemptStore(db), seal, http, log: createLogger('silent'),
      clock: { now: () => new Date(Date.now() + aheadMs) }, simulator: () => ({ callUrl: sim.simulator.url, browserUrl: sim.simulator.publicUrl }),
      callbackUrl: () => 'http://127.0.0.1:9/channels/callback', onConnected: say('connected'), eventsWritten: () => heard.push('told'),
      profileOf: async () => ({ refId: 'ref', title: 'Primary Profile' }),
    });
  }
  const channels = openService();

  before(async () => {
    sim = await openSimulator();
    await ensureIndexes(db, [...channelIndexes, ...connectAttemptIndexes]);
  });
  after(() => sim.close());
  beforeEach(async () => {
    aheadMs = 0;
    heard.length = 0;
    await sim.clearFaults();
    await sim.set({ accessTokenMs: 2 * HOUR });
  });

  /** Types of the events that wait in its document; nobody relays them here. */
  async function toldOf(channelId: string): Promise<string[]> {
    const stored = await db.collection('channels').findOne({ _id: channelId as never });
    assert.ok(stored?.['outboxAt'] instanceof Date);
    return (stored['outbox'] as { type: string }[]).map(({ type }) => type);
  }

  function someone(): Actor {
    const id = newId('acc');
    return { accountId: id, profileId: `prf_${id}`, userId: `usr_${id}`, isAdministrator: false, timeZone: 'UTC', via: 'page' };
  }

  async function connect(actor: Actor, platform: string, handle: string): Promise<Channel> {
    const outcome = await channels.finish(actor, await comeBack(actor, platform, handle));
    assert.equal(outcome.problem, null);
    return outcome.channel;
  }

  async function comeBack(actor: Actor, platform: string, handle: string, decision: 'allow' | 'deny' = 'allow') {
    const { searchParams } = await consent((await channels.begin(actor, platform, 'simulated'))!, handle, decision);
    return { state: searchParams.get('state')!, code: searchParams.get('code'), error: searchParams.get('error') };
  }

  it('are connected by consent and listed by platform; secrets are sealed and stay in the store', async () => {
    const actor = someone();
    await connect(actor, 'twitter', 'ada');
    await connect(actor, 'bluesky', 'ada.bsky.social');
    const listed = await channels.list(actor);
    assert.deepEqual(listed.map((channel) => [channel.platform, channel.username, channel.state, channel.simulated]), [['bluesky', 'ada.bsky.social', 'connected', true], ['twitter', 'ada', 'connected', true]]);
    assert.ok(!JSON.stringify(listed).includes('ealed'));
    const documents = await db.collection('channels').find({ profileId: actor.profileId }).toArray();
    assert.ok(documents.every((document) => String(document['sealedCredentials']).startsWith('s1.') && !JSON.stringify(document).includes('sim_at_')));
    assert.deepEqual(await channels.connected(actor, ['twitter', 'tiktok']).then((found) => found.map((channel) => channel.platform)), ['twitter']);
    assert.deepEqual(heard, ['told', 'connected ada', 'told', 'connected ada.bsky.social']);
  });

  it('are not connected when the person says no', async () => {
    const actor = someone();
    const outcome = await channels.finish(actor, await comeBack(actor, 'twitter', 'ada', 'deny'));
    assert.match(outcome.problem ?? '', /not allowed/);
    assert.deepEqual(await channels.list(actor), []);
  });

  it('need a return that is known, their own, unused and not older than ten minutes', async () => {
    const [actor, other] = [someone(), someone()];
    const back = await comeBack(actor, 'twitter', 'ada');
    assert.match((await channels.finish(other, back)).problem ?? '', /begun by someone else/);
    assert.equal((await channels.finish(actor, back)).problem, null, "a stranger's attempt must not spend it");
    assert.match((await channels.finish(actor, back)).problem ?? '', /used already/);
    assert.match((await channels.finish(actor, { ...back, state: '' })).problem ?? '', /not known/);
    const late = await comeBack(actor, 'bluesky', 'ada.bsky.social');
    aheadMs = 11 * 60_000;
    assert.match((await channels.finish(actor, late)).problem ?? '', /10 minutes/);
  });

  it('survive a network that answers nonsense or nothing while connecting, with a plain message', async () => {
    const actor = someone();
    const back = await comeBack(actor, 'twitter', 'ada');
    await sim.fault({ kind: 'html-error', act: 'refresh' });
    assert.match((await channels.finish(actor, back)).problem ?? '', /can't be reached right now/);
    const forged = await comeBack(actor, 'twitter', 'ada');
    await sim.clearFaults();
    assert.match((await channels.finish(actor, { ...forged, code: 'made-up' })).problem ?? '', /did not accept the sign-in/);
    assert.deepEqual(await channels.list(actor), []);
  });

  it('keep their id when the same account connects again, and refuse a second account of the platform', async () => {
    const actor = someone();
    const first = await connect(actor, 'twitter', 'ada');
    assert.equal((await connect(actor, 'twitter', 'ada')).id, first.id);
    const refused = await channels.finish(actor, await comeBack(actor, 'twitter', 'grace'));
    assert.match(refused.problem ?? '', /^@ada of X is connected already/);
    await channels.disconnect(actor, first.id);
    const second = await connect(actor, 'twitter', 'grace');
    assert.notEqual(second.id, first.id);
    await channels.disconnect(actor, second.id);
    assert.equal((await connect(actor, 'twitter', 'ada')).id, first.id);
    assert.equal((await channels.list(actor)).length, 1);
  });

  it('are one per platform even when two accounts connect at the same moment', async () => {
    const actor = someone();
    const backs = [await comeBack(actor, 'twitter', 'ada'), await comeBack(actor, 'twitter', 'grace')];
    const outcomes = await Promise.all(backs.map((back) => channels.finish(actor, back)));
    assert.equal(outcomes.filter((outcome) => outcome.problem === null).length, 1);
    assert.equal((await channels.list(actor)).length, 1);
  });

  it("can't be seen, opened or disconnected by others", async () => {
    const [actor, other] = [someone(), someone()];
    const channel = await connect(actor, 'twitter', 'ada');
    assert.deepEqual(await channels.list(other), []);
    await assert.rejects(channels.find(other, channel.id), (error) => error instanceof AppError && error.kind === 'not-found');
    await assert.rejects(channels.disconnect(other, channel.id), (error) => error instanceof AppError && error.kind === 'not-found');
    await assert.rejects(channels.begin(actor, 'myspace', 'simulated'), (error) => error instanceof AppError && error.kind === 'not-found');
    await assert.rejects(channels.begin({ ...actor, userId: null, via: 'api' }, 'twitter', 'simulated'), (error) => error instanceof AppError && error.kind === 'forbidden');
  });

  it('open for publishing, and forget their secrets when disconnected', async () => {
    const actor = someone();
    const channel = await connect(actor, 'twitter', 'ada');
    const session = await channels.session(channel.id);
    assert.equal((await session!.platform.verify(session!.credentials, session!.io)).username, 'ada');
    await channels.disconnect(actor, channel.id);
    assert.equal(await channels.session(channel.id), null);
    assert.equal((await db.collection('channels').findOne({ _id: channel.id as never }))?.['sealedCredentials'], null);
    await assert.rejects(channels.disconnect(actor, channel.id), AppError);
    assert.equal(await channels.session('chn_unknown'), null);
    assert.deepEqual(await toldOf(channel.id), ['channel.connected', 'channel.disconnected']);
  });

  it('refresh their tokens once, however many ask in however many processes, and store them before use', async () => {
    const actor = someone();
    const channel = await connect(actor, 'twitter', 'ada');
    aheadMs = 2 * HOUR;
    await sim.fault({ kind: 'slow', act: 'refresh', options: { ms: 150 } });
    const services = [openService(), openService(), channels];
    const sessions = await Promise.all(services.flatMap((service) => [service.session(channel.id), service.session(channel.id)]));
    const tokens = new Set(sessions.map((session) => session!.credentials['accessToken']));
    assert.equal(tokens.size, 1);
    const stored = await db.collection('channels').findOne({ _id: channel.id as never });
    assert.equal(stored?.['credentialsVersion'], 2);
    assert.equal((await sessions[0]!.platform.verify(sessions[0]!.credentials, sessions[0]!.io)).username, 'ada');
  });

  it('go on with a token that still works while the network cannot refresh', async () => {
    const actor = someone();
    const channel = await connect(actor, 'twitter', 'ada');
    await sim.fault({ kind: 'server-error', act: 'refresh' });
    aheadMs = 2 * HOUR - 60_000;
    assert.ok(await channels.session(channel.id));
    aheadMs = 2 * HOUR;
    await assert.rejects(channels.session(channel.id), (error) => error instanceof PlatformFailure && error.kind === 'unreachable');
    assert.equal((await channels.get(channel.id))?.state, 'connected');
    await sim.clearFaults();
    assert.ok(await channels.session(channel.id));
  });

  it('are signed out by a definite refusal, say so, and work again after reconnecting', async () => {
    const actor = someone();
    const channel = await connect(actor, 'twitter', 'ada');
    await revoke(channel);
    aheadMs = 2 * HOUR;
    await assert.rejects(channels.session(channel.id), (error) => error instanceof PlatformFailure && error.kind === 'signed-out');
    const [shown] = await channels.list(actor);
    assert.equal(shown?.state, 'signed-out');
    assert.match(shown?.problem ?? '', /Connect the channel again/);
    assert.equal(await channels.markSignedOut(channel.id, 'Twice.', null), 'signed-out');
    assert.deepEqual(await toldOf(channel.id), ['channel.connected', 'channel.signed_out'], 'told once, whoever finds out');
    aheadMs = 0;
    heard.length = 0;
    assert.equal((await connect(actor, 'twitter', 'ada')).id, channel.id);
    assert.deepEqual(heard, ['told', 'connected ada']);
    assert.ok(await channels.session(channel.id));
  });

  it('get one chance to refresh when the network refuses an access token early', async () => {
    const actor = someone();
    const channel = await connect(actor, 'twitter', 'ada');
    assert.equal(await channels.markSignedOut(channel.id, 'refused', null), 'renewed');
    assert.equal((await channels.get(channel.id))?.state, 'connected');
    await revoke(channel);
    assert.equal(await channels.markSignedOut(channel.id, 'refused', null), 'signed-out');
    assert.equal((await channels.get(channel.id))?.state, 'signed-out');
  });

  it('are not renewed for the sake of tokens that somebody else has renewed meanwhile: that would take away theirs', async () => {
    const channel = await connect(someone(), 'twitter', 'ada');
    const [one, other] = [await channels.session(channel.id), await channels.session(channel.id)];
    assert.equal(await channels.markSignedOut(channel.id, 'refused', one!.credentials), 'renewed');
    const renewed = await channels.session(channel.id);
    assert.notDeepEqual(renewed!.credentials, one!.credentials);
    assert.equal(await channels.markSignedOut(channel.id, 'refused', other!.credentials), 'renewed');
    assert.deepEqual((await channels.session(channel.id))!.credentials, renewed!.credentials);
    assert.equal((await renewed!.platform.verify(renewed!.credentials, renewed!.io)).username, 'ada');
  });

  it('are signed out without refresh tokens only when the network says it twice', async () => {
    const actor = someone();
    const channel = await connect(actor, 'facebook', 'ada.bakery');
    assert.equal(await channels.markSignedOut(channel.id, 'refused', null), 'renewed');
    await revoke(channel);
    assert.equal(await channels.markSignedOut(channel.id, 'refused', null), 'signed-out');
  });

  /** The owner takes the permission back at the network. */
  async function revoke(channel: Channel): Promise<void> {
    const session = await channels.session(channel.id);
    await sim.fault({ kind: 'revoked', act: 'read', handle: channel.username, times: 1 });
    await assert.rejects(session!.platform.verify(session!.credentials, session!.io), PlatformFailure);
  }

  it('can be connected again after the simulator forgot nothing over a restart', async () => {
    const actor = someone();
    const channel = await connect(actor, 'bluesky', 'ada.bsky.social');
    await sim.restart();
    const session = await channels.session(channel.id);
    assert.equal((await session!.platform.verify(session!.credentials, session!.io)).remoteId, channel.remoteId);
    assert.equal((await axios.get<string>(`${sim.simulator.url}/bluesky/web/profile/ada.bsky.social`)).status, 200);
  });
});
