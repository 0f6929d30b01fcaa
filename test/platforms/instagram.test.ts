/** What only Instagram has: stories, which are listed nowhere. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PlatformIo } from '../../src/platforms/platform.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { waitUntil } from '../support/wait-until.js';
import { connect, contentFor, ioFor, openSimulator, type Connected, type TestSimulator } from './simulated.js';

describe('Instagram', () => {
  const instagram = findPlatform('instagram')!;
  let sim: TestSimulator;
  let io: PlatformIo;
  let channel: Connected;
  before(async () => {
    sim = await openSimulator();
    io = ioFor(instagram, sim);
    channel = await connect(instagram, io, 'ada');
  });
  after(() => sim.close());

  it('knows that a story is public after a lost answer, though nobody says under which id', async () => {
    const { credentials } = channel.grant;
    const story = contentFor(instagram, 'A story', { options: { stories: true } });
    await sim.fault({ kind: 'reset-after-accept', act: 'publish', network: 'instagram', handle: 'ada', times: 1 });
    const prepared = await instagram.publish(story, credentials, io);
    assert.ok(prepared.state === 'processing');
    const poll = (by: PlatformIo) => instagram.processing!.poll(prepared.handle, credentials, by);
    await waitUntil('the answer to be lost', () => poll(io).then((result) => (result.state === 'processing' ? null : assert.fail('it is listed')), (error: unknown) => error));
    await assert.rejects(poll(io), { kind: 'unreachable' });
    const later: PlatformIo = { ...io, now: () => new Date(Date.now() + 11 * 60_000) };
    assert.deepEqual(await poll(later), { state: 'published', remoteId: '', url: null });
    assert.equal((await sim.posts({ text: 'A story' })).length, 1);
  });

  it('says what is made by machines, and how a trial reel graduates', async () => {
    const sent: unknown[] = [];
    const watching: PlatformIo = { ...io, http: new Proxy(io.http, { get: (client, name) => (name === 'request' ? (config: { data?: unknown }) => { sent.push(config.data); return client.request(config); } : (Reflect.get(client, name) as unknown)) }) };
    await instagram.publish(contentFor(instagram, 'Trial', { options: { isAIGenerated: true, trialParams: { graduationStrategy: 'MANUAL' } }, mediaKind: 'video' }), channel.grant.credentials, watching);
    const [container] = sent as Record<string, string>[];
    assert.deepEqual([container?.['is_ai_generated'], container?.['trial_params']], ['true', '{"graduation_strategy":"MANUAL"}']);
  });
});
