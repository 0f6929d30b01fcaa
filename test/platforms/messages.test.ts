/** Every failure of every platform, as its user reads it: what happened, and what to do. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { PlatformFailure, refreshOf, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../../src/platforms/platform.js';
import { platforms, simulatedNetworks } from '../../src/platforms/registry.js';
import { aimOf, faultKinds, type FaultKind } from '../../src/platforms/simulator/faults.js';
import { connect, contentFor, ioFor, openSimulator, type Connected, type TestSimulator } from './simulated.js';

/** What each platform needs to be published to, and what it processes. */
const NEEDS: Record<string, { options?: Record<string, unknown>; mediaKind?: 'video'; handle?: string; processed?: Record<string, unknown> }> = {
  bluesky: { handle: 'ada.bsky.social' }, facebook: { processed: { reels: true } }, pinterest: { processed: { thumbNail: 'https://example.com/cover.jpg' } },
  reddit: { options: { title: 'T', subreddit: 'test' } }, snapchat: { options: { spotlight: true }, mediaKind: 'video' }, telegram: { handle: 'ada_news' }, youtube: { options: { title: 'T' } },
};

/** Faults that don't stop a post, only make it wait. */
const HARMLESS = new Set<FaultKind>(['slow', 'late', 'stuck']);
const WHAT_TO_DO = /(Signpost tries again by itself|Connect the channel again|Change (it|the text)|Choose another|Use (another|one|MP4|JPEG|fewer)|Sign in (at|there)|Look at the profile|Send it again|Open it at|Ask its administrators|Check)/;
/** Words of programs that tell a person nothing. */
const JARGON = /undefined|null\b|\[object|NaN|ECONN|JSON|invalid_|_not_|Exception|<html/;

for (const platform of platforms) {
  describe(`what ${platform.name} says when something goes wrong`, () => {
    const { options = {}, mediaKind, handle = 'ada', processed } = NEEDS[platform.id] ?? {};
    const network = { ...simulatedNetworks.find(({ id }) => id === platform.id), renewsTokens: refreshOf(platform) !== undefined };
    let sim: TestSimulator;
    let io: PlatformIo;
    let channel: Connected;
    before(async () => {
      sim = await openSimulator({ processingMs: 30, holdMs: 30 });
      io = ioFor(platform, sim);
      channel = await connect(platform, io, handle);
    });
    after(() => sim.close());

    function contentWith(kind: FaultKind): PlatformContent {
      const needsProcessing = kind === 'processing-fails' && (processed !== undefined || network.processing === 'uploads');
      return contentFor(platform, `With ${kind}`, { options: needsProcessing ? { ...options, ...processed } : options, ...(needsProcessing ? { mediaKind: 'video' as const } : mediaKind === undefined ? {} : { mediaKind }) });
    }

    async function outcomeOf(work: () => Promise<PublishResult>): Promise<PublishResult | PlatformFailure> {
      try {
        let latest = await work();
        for (let polls = 0; latest.state === 'processing' && polls < 100; polls++) {
          await pause(10);
          latest = await platform.processing!.poll(latest.handle, channel.grant.credentials, io);
        }
        return latest;
      } catch (error) {
        assert.ok(error instanceof PlatformFailure, String(error));
        return error;
      }
    }

    for (const kind of (Object.keys(faultKinds) as FaultKind[]).filter((candidate) => !HARMLESS.has(candidate) && candidate !== 'revoked')) {
      const act = aimOf(kind, 'publish', network);
      if (act === null || act === 'refresh') continue;
      it(`when it meets "${kind}"`, async () => {
        await sim.fault({ kind, act, network: platform.id, handle, times: 1 });
        const outcome = await outcomeOf(() => platform.publish(contentWith(kind), channel.grant.credentials, io));
        await sim.clearFaults();
        assert.ok(outcome instanceof PlatformFailure, 'the fault did not show');
        assertPlain(outcome, platform);
      });
    }

    for (const kind of ['revoked', 'already-rotated', 'server-error', 'rate-limited', 'html-error', 'timeout-after-accept'] as const) {
      if (aimOf(kind, 'refresh', network) === null) continue;
      it(`when renewing the sign-in meets "${kind}"`, async () => {
        const other = await connect(platform, io, handle);
        await sim.fault({ kind, act: 'refresh', network: platform.id, handle });
        const outcome: unknown = await refreshOf(platform)!(other.grant.credentials, io).then(() => null, (error: unknown) => error);
        await sim.clearFaults();
        assert.ok(outcome instanceof PlatformFailure, `the fault did not show: ${String(outcome)}`);
        assert.equal(outcome.kind === 'signed-out', kind === 'revoked' || kind === 'already-rotated', 'only a definite refusal signs a channel out');
        assertPlain(outcome, platform);
      });
    }
  });
}

function assertPlain({ message, kind }: PlatformFailure, { name }: Platform): void {
  assert.match(message, /^[A-Z][^]*[.”]$/, message);
  assert.ok(message.includes(name.split(' ')[0]!) || /^(The|This|A) /.test(message), `${message} names no network`);
  assert.match(message, WHAT_TO_DO, message);
  assert.doesNotMatch(message.replace(/ \(ECONNRESET\)/, '').replace(/“[^”]*”/g, ''), JARGON, message);
  assert.ok(message.length < 400, message);
  if (kind === 'unknown') assert.match(message, /may or may not be public|cannot tell|does not show/);
  if (kind === 'rate-limited' || kind === 'unreachable') assert.match(message, /Signpost tries again by itself/);
}
