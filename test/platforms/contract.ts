/** What every platform must do, tried over HTTP against its simulated network; one line per platform runs it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { checkContent } from '../../src/platforms/check-content.js';
import { PlatformFailure, refreshOf, type FailureKind, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../../src/platforms/platform.js';
import type { MediaKind } from '../../src/platforms/media-kind.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { waitUntil } from '../support/wait-until.js';
import { connect, connectByConsent, consent, contentFor, ioFor, openSimulator, redirectUri, type Connected, type TestSimulator } from './simulated.js';

export interface ContractOptions {
  /** What its option object must hold. */
  options?: Record<string, unknown>;
  /** A handle that may exist there. */
  handle?: string;
  /** It prepares a post first, and only a second step makes it public: then a lost answer is asked for again, never in doubt. */
  prepares?: true;
  /** What renews tokens stays good there. */
  keepsRefreshToken?: true;
  /** It takes no `<` and `>`. */
  refusesMarkup?: true;
  mediaKind?: MediaKind;
  /** It processes only what these options ask for, e.g. a reel. */
  processedOptions?: Record<string, unknown>;
  /** Its 429 doesn't say when to come back. */
  keepsRetryTimeToItself?: true;
}

export const testedPlatforms: string[] = [];

/** @param id of a platform in the registry */
export function testPlatform(id: string, contract: ContractOptions = {}): void {
  const { options = {}, handle = 'ada', prepares, keepsRetryTimeToItself, keepsRefreshToken, refusesMarkup, mediaKind, processedOptions } = contract;
  testedPlatforms.push(id);
  describe(`the ${id} adapter`, () => {
    const platform = findPlatform(id);
    assert.ok(platform, `${id} is not in the registry`);
    let sim: TestSimulator;
    let io: PlatformIo;
    let connected: Connected;

    before(async () => {
      sim = await openSimulator();
      io = ioFor(platform, sim);
      connected = await connect(platform, io, handle);
    });
    after(() => sim.close());

    const newContent = (text?: string): PlatformContent => contentFor(platform, text, { options, ...(mediaKind === undefined ? {} : { mediaKind }) });
    const publish = (content: PlatformContent): Promise<PublishResult> => platform.publish(content, connected.grant.credentials, io);
    const settled = (result: PublishResult): Promise<PublishResult> => untilPublic(platform, result, connected, io);
    const failure = (work: () => Promise<unknown>): Promise<PlatformFailure> => failureOf(work);

    describeIdentity();
    describePublishing();
    describeFailures();

    function describeIdentity(): void {
      it('connects by consent and knows whose account it is', async () => {
        const me = await platform!.verify(connected.grant.credentials, io);
        assert.equal(me.username, handle);
        assert.notEqual(me.remoteId, '');
        assert.ok(me.profileUrl === null || me.profileUrl.startsWith(io.baseUrls.web));
      });

      it('gets the state back, and no code, when the person says no', async () => {
        if (platform!.oauth === undefined) return;
        const url = platform!.oauth.authorizeUrl({ state: 'st@te/1', redirectUri, codeChallenge: 'x'.repeat(43) }, io);
        const back = await consent(url, handle, 'deny');
        assert.equal(back.searchParams.get('state'), 'st@te/1');
        assert.equal(back.searchParams.get('error'), 'access_denied');
        assert.equal(back.searchParams.has('code'), false);
      });

      it('refuses a code that was made up', async () => {
        if (platform!.oauth === undefined) return;
        const { kind } = await failure(() => platform!.oauth!.exchange({ code: 'made-up', redirectUri, codeVerifier: 'v' }, io));
        assert.equal(kind, 'signed-out');
      });

      it('refreshes tokens; the old refresh token then works no more', async () => {
        const refresh = refreshOf(platform!);
        if (refresh === undefined) return;
        for (const other of [await connect(platform!, io, handle), ...(platform!.oauth === undefined ? [] : [await connectByConsent(platform!, io, handle)])]) {
          const renewed = await refresh(other.grant.credentials, io);
          assert.ok(renewed.expiresAt !== null && renewed.expiresAt > new Date());
          assert.equal((await platform!.verify(renewed.credentials, io)).username, handle);
          if (!keepsRefreshToken) assert.equal((await failure(() => refresh(other.grant.credentials, io))).kind, 'signed-out');
        }
      });
    }

    function describePublishing(): void {
      it('publishes once, with an id and a public address that shows it', async () => {
        const content = newContent();
        const done = await settled(await publish(content));
        assert.ok(done.state === 'published');
        const [post, ...more] = await sim.posts({ text: content.text, network: id });
        assert.equal(more.length, 0);
        assert.equal(post?.isPublic, true);
        assert.deepEqual([done.remoteId, done.url], [post?.remoteId, post?.url]);
        const page = await io.http.get<string>(post.url);
        assert.ok(page.data.includes(content.text));
      });

      it('is two posts when two accounts post at the same moment, each with a page of its own', async () => {
        const other = await connect(platform!, io, handle.replace('ada', 'eve'));
        const results = await Promise.all([connected, other].map(async (by) => untilPublic(platform!, await platform!.publish(newContent('The same words'), by.grant.credentials, io), by, io)));
        const posts = await sim.posts({ text: 'The same words', network: id });
        assert.deepEqual(posts.map((post) => post.handle).sort(), [handle, other.handle].sort());
        const urls = results.map((result) => (result.state === 'published' ? result.url! : ''));
        assert.deepEqual(posts.map((post) => post.url).sort(), [...urls].sort());
        for (const url of urls) assert.ok((await io.http.get<string>(url)).data.includes('The same words'));
      });

      it('keeps text as it was written: links, tags, accents, emoji, markup', async () => {
        const text = `Déjà vu 👩‍👩‍👧‍👦 ${refusesMarkup ? '' : '<b>'}&amp; #tag https://example.com/a?b=c&d=e`;
        await settled(await publish(newContent(text)));
        assert.equal((await sim.posts({ network: id })).filter((post) => post.text === text).length, 1);
      });

      it('finds its own limits broken before anything is sent', () => {
        const long = newContent('x'.repeat(platform!.limits.text.max + 1));
        assert.deepEqual(checkContent(platform!, long).map((problem) => [problem.field, problem.platform]), [['post', id]]);
        assert.deepEqual(checkContent(platform!, newContent()), []);
      });

      it('continues a thread, each item under the one before', async () => {
        if (platform!.thread === undefined) return;
        const root = await settled(await publish(newContent()));
        assert.ok(root.state === 'published');
        let parentId = root.remoteId;
        for (const text of [`Second of ${root.remoteId}`, `Third of ${root.remoteId}`]) {
          const item = await settled(await platform!.thread.reply({ ...newContent(text), media: [], options: {} }, { rootId: root.remoteId, parentId }, connected.grant.credentials, io));
          assert.ok(item.state === 'published');
          parentId = item.remoteId;
          assert.equal((await sim.posts({ text, network: id })).length, 1);
        }
      });

      it('adds a comment where the network has them', async () => {
        if (platform!.comment === undefined) return;
        const root = await settled(await publish(newContent()));
        assert.ok(root.state === 'published');
        const comment = await settled(await platform!.comment.comment({ ...newContent('First comment'), media: [], options: {} }, root.remoteId, connected.grant.credentials, io));
        assert.ok(comment.state === 'published' && comment.remoteId !== '');
      });

      it('takes posts down where the network can', async () => {
        if (platform!.remove === undefined) return;
        const content = newContent();
        const done = await settled(await publish(content));
        assert.ok(done.state === 'published');
        await platform!.remove.remove(done.remoteId, connected.grant.credentials, io);
        const [post] = await sim.posts({ text: content.text, network: id });
        assert.equal(post?.isPublic, false);
        // What its owner deleted there is gone, so that it can be deleted here.
        await platform!.remove.remove(done.remoteId, connected.grant.credentials, io);
      });
    }

    function describeFailures(): void {
      const expected: [marker: string, kind: FailureKind][] = [
        ['rate-limited after=7', 'rate-limited'], ['rate-limited after=none', 'rate-limited'], ['daily-limit', 'rate-limited'],
        ['signed-out', 'signed-out'], ['suspended', 'rejected'], ['refused', 'rejected'], ['localized', 'rejected'], ['duplicate', 'rejected'],
        ['server-error', 'unknown'], ['html-error', 'unknown'], ['reset-before-accept', 'unknown'],
        ['timeout-after-accept', 'unknown'], ['error-after-accept', 'unknown'], ['reset-after-accept', 'unknown'], ['html-after-accept', 'unknown'],
      ];
      for (const [marker, kind] of expected) {
        it(`takes "${marker}" as ${kind} and says so in plain words`, async () => {
          const content = newContent(`Trouble ${marker} [[fault: ${marker}]]`);
          const error = await failure(async () => settled(await publish(content)));
          assert.equal(error.kind, kind === 'unknown' && prepares ? 'unreachable' : kind, error.options.details);
          assert.match(error.message, /^[A-Z].*\.$/s);
          if (marker === 'rate-limited after=7' && !keepsRetryTimeToItself) assertSoon(error.options.retryAt, 7000);
          const isThere = (await sim.posts({ text: content.text, network: id })).length;
          assert.equal(isThere, marker.endsWith('after-accept') ? 1 : 0);
        });
      }

      it('takes a refused connection as unreachable: nothing was sent', async () => {
        const gone = { ...io, baseUrls: { ...io.baseUrls, api: 'http://127.0.0.1:9', auth: 'http://127.0.0.1:9' } };
        assert.equal((await failure(() => platform!.publish(newContent(), connected.grant.credentials, gone))).kind, 'unreachable');
      });

      it('takes an unknown name as unreachable', async () => {
        const gone = { ...io, baseUrls: { ...io.baseUrls, api: 'http://nowhere.invalid' } };
        assert.equal((await failure(() => platform!.publish(newContent(), connected.grant.credentials, gone))).kind, 'unreachable');
      });

      it('takes tokens of nobody as signed out', async () => {
        const forged = { ...connected.grant.credentials, accessToken: 'forged' };
        assert.equal((await failure(() => platform!.publish(newContent(), forged, io))).kind, 'signed-out');
      });

      it('finds out after an unknown outcome whether it is there', async () => {
        if (platform!.lookUp === undefined) return;
        const since = new Date();
        const lost = newContent(`Lost ${refusesMarkup ? '' : '<answer>'} & all https://example.com/x [[fault: timeout-after-accept]]`);
        await failure(async () => settled(await publish(lost)));
        const ask = (content: PlatformContent): Promise<PublishResult | PlatformFailure | null> => platform!.lookUp!.find(content, since, connected.grant.credentials, io)
          .catch((error: unknown) => (error instanceof PlatformFailure ? error : Promise.reject(error as Error)));
        const found = await waitUntil('the lost post to be found', async () => {
          const answer = await ask(lost);
          return answer instanceof PlatformFailure ? null : answer;
        });
        assert.equal((await settled(found)).state, 'published');
        const never = newContent('Never sent [[fault: reset-before-accept]]');
        await failure(async () => settled(await publish(never)));
        // A network that shows only what is public can't tell; it must say so.
        const nothing = await ask(never);
        assert.ok(nothing === null || nothing instanceof PlatformFailure);
      });

      it('finds a first comment whose answer was lost, where comments can be asked for', async () => {
        if (platform!.comment?.find === undefined) return;
        const root = await settled(await publish(newContent()));
        assert.ok(root.state === 'published');
        const since = new Date();
        const commentOf = (text: string): PlatformContent => ({ ...newContent(text), media: [], options: {} });
        const ask = (text: string): Promise<PublishResult | null> => platform!.comment!.find!(commentOf(text), root.remoteId, since, connected.grant.credentials, io);
        const lost = 'Lost comment [[fault: error-after-accept]]';
        const lostAnswer = await failure(async () => settled(await platform!.comment!.comment(commentOf(lost), root.remoteId, connected.grant.credentials, io)));
        assert.equal(lostAnswer.kind, prepares && platform!.comment!.limits === undefined ? 'unreachable' : 'unknown');
        const found = await ask(lost);
        assert.ok(found?.state === 'published' && found.remoteId !== '');
        assert.equal(await ask('Never written'), null);
      });

      it('goes on after a lost answer without publishing twice', async () => {
        if (!prepares) return;
        for (const marker of ['timeout-after-accept', 'error-after-accept', 'reset-before-accept']) {
          const content = newContent(`Again ${marker} [[fault: ${marker}]]`);
          const prepared = await publish(content);
          await failure(() => settled(prepared));
          assert.equal((await settled(prepared)).state, 'published');
          assert.equal((await sim.posts({ text: content.text, network: id })).length, 1);
        }
      });

      it('keeps asking while the network processes, and tells when processing failed', async () => {
        if (platform!.processing === undefined) return;
        const slow = (text: string): PlatformContent => (processedOptions === undefined ? newContent(text) : contentFor(platform!, text, { options: processedOptions, mediaKind: 'video' }));
        const stuck = await publish(slow('Stuck [[fault: stuck]]'));
        assert.ok(stuck.state === 'processing');
        await pause(100);
        assert.equal((await platform!.processing.poll(stuck.handle, connected.grant.credentials, io)).state, 'processing');
        const doomed = await publish(slow('Doomed [[fault: processing-fails]]'));
        const fine = slow('Processed and public');
        assert.equal((await settled(await publish(fine))).state, 'published');
        assert.equal((await sim.posts({ text: fine.text, network: id })).filter((post) => post.isPublic).length, 1);
        assert.equal((await failure(() => settled(doomed))).kind, 'rejected');
      });
    }
  });
}

async function untilPublic(platform: Platform, result: PublishResult, { grant }: Connected, io: PlatformIo): Promise<PublishResult> {
  let latest = result;
  for (let polls = 0; latest.state === 'processing'; polls++) {
    assert.ok(polls < 100, 'processing did not end');
    await pause(20);
    latest = await platform.processing!.poll(latest.handle, grant.credentials, io);
  }
  return latest;
}

async function failureOf(work: () => Promise<unknown>): Promise<PlatformFailure> {
  const error: unknown = await work().then(() => null, (thrown: unknown) => thrown);
  assert.ok(error instanceof PlatformFailure, `expected a failure of the platform, got ${String(error)}`);
  return error;
}

function assertSoon(at: Date | undefined, ms: number): void {
  assert.ok(at !== undefined, 'no time to try again');
  assert.ok(Math.abs(at.getTime() - Date.now() - ms) < 3000, at.toISOString());
}
