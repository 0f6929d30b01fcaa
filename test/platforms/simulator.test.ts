/** The simulator itself: what it remembers over crashes, its consent page, its own checks, its faults. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import axios from 'axios';
import { createLogger } from '../../src/lib/logger.js';
import { PlatformFailure, type Platform } from '../../src/platforms/platform.js';
import { findPlatform, simulatedNetworks } from '../../src/platforms/registry.js';
import { startSimulator } from '../../src/platforms/simulator/simulator.js';
import { connect, consent, contentFor, ioFor, openSimulator, redirectUri, type TestSimulator } from './simulated.js';

const twitter: Platform = findPlatform('twitter')!;
const browser = axios.create({ validateStatus: () => true, maxRedirects: 0 });

describe('the simulator', () => {
  let sim: TestSimulator;
  before(async () => {
    sim = await openSimulator();
  });
  after(() => sim.close());

  it('remembers accounts, tokens and posts over a restart, and ignores a torn last line', async () => {
    const { grant } = await connect(twitter, ioFor(twitter, sim), 'restart');
    await twitter.publish(contentFor(twitter, 'Before the restart'), grant.credentials, ioFor(twitter, sim));
    await sim.simulator.stop();
    await appendFile(sim.journalFile, '{"kind":"post","value":{"network":"twit');
    sim.simulator = await startSimulator({ host: '127.0.0.1', port: 0, journalFile: sim.journalFile, networks: simulatedNetworks, log: createLogger('silent') });
    await twitter.publish(contentFor(twitter, 'After the restart'), grant.credentials, ioFor(twitter, sim));
    await sim.restart();
    const texts = (await sim.posts({ handle: 'restart' })).map((post) => post.text);
    assert.deepEqual(texts, ['Before the restart', 'After the restart']);
  });

  it('says what is wrong when an inner line of its journal is damaged', async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'signpost-journal-'));
    const journalFile = path.join(dir, 'simulator.jsonl');
    await writeFile(journalFile, 'rubbish\n{"kind":"fired","value":"x"}\n');
    await assert.rejects(startSimulator({ host: '127.0.0.1', port: 0, journalFile, networks: simulatedNetworks, log: createLogger('silent') }), /Line 1 of .* is damaged/);
    await rm(dir, { recursive: true });
  });

  it('keeps what it answered when its process is killed', async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'signpost-killed-'));
    const journalFile = path.join(dir, 'simulator.jsonl');
    const child = spawn(process.execPath, [new URL('./simulator-process.js', import.meta.url).pathname, journalFile], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [address] = (await once(child.stdout, 'data')) as [Buffer];
    const url = address.toString().trim();
    const elsewhere: TestSimulator = { ...sim, simulator: { ...sim.simulator, url, publicUrl: url } };
    const { grant } = await connect(twitter, ioFor(twitter, elsewhere), 'killed');
    await twitter.publish(contentFor(twitter, 'Accepted'), grant.credentials, ioFor(twitter, elsewhere));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const again = await startSimulator({ host: '127.0.0.1', port: 0, journalFile, networks: simulatedNetworks, log: createLogger('silent') });
    const { data } = await browser.get<{ posts: { text: string }[] }>(`${again.url}/simulator/posts`);
    assert.deepEqual(data.posts.map((post) => post.text), ['Accepted']);
    await again.stop();
    await rm(dir, { recursive: true });
  });

  it('shows a consent page under a strict policy that names app, permissions and where one returns to', async () => {
    const url = twitter.oauth!.authorizeUrl({ state: 's', redirectUri, codeChallenge: 'x'.repeat(43) }, ioFor(twitter, sim));
    const page = await browser.get<string>(url);
    assert.match(page.data, /Simulated\./);
    assert.match(page.data, /signpost-test/);
    assert.match(page.data, /Post and delete posts for you/);
    assert.match(page.data, /You return to 127\.0\.0\.1:9/);
    assert.match(String(page.headers['content-security-policy']), /default-src 'none'.*form-action 'self' http:\/\/127\.0\.0\.1:9$/);
  });

  it('escapes what it shows', async () => {
    const url = new URL(twitter.oauth!.authorizeUrl({ state: '"><script>', redirectUri, codeChallenge: 'x'.repeat(43) }, ioFor(twitter, sim)));
    url.searchParams.set('client_id', '<script>alert(1)</script>');
    const page = await browser.get<string>(url.href);
    assert.ok(!page.data.includes('<script>'));
  });

  it('refuses a consent without an address to return to, and a handle that cannot be one', async () => {
    const { simulator } = sim;
    const bad = await browser.get<string>(`${simulator.url}/twitter/web/i/oauth2/authorize?client_id=a&response_type=code&redirect_uri=javascript:alert(1)`);
    assert.equal(bad.status, 400);
    assert.match(bad.data, /redirect_uri must be an http\(s\) address/);
    const form = new URLSearchParams({ client_id: 'a', response_type: 'code', redirect_uri: redirectUri, state: 's', newHandle: '../x', decision: 'allow' });
    const answer = await browser.post<string>(`${simulator.url}/twitter/web/i/oauth2/authorize`, form.toString());
    assert.equal(answer.status, 422);
    assert.match(answer.data, /can&#39;t be a handle|can't be a handle/);
  });

  it('checks the PKCE verifier, the redirect address, the age of a code and that it is used once', async () => {
    const io = ioFor(twitter, sim);
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
    const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const newCode = async (): Promise<string> => (await consent(twitter.oauth!.authorizeUrl({ state: 's', redirectUri, codeChallenge: challenge }, io), 'pkce')).searchParams.get('code')!;
    const exchange = (code: string, codeVerifier: string, to = redirectUri) => twitter.oauth!.exchange({ code, redirectUri: to, codeVerifier }, io);
    await assert.rejects(exchange(await newCode(), 'wrong'), /no longer accepts/);
    await assert.rejects(exchange(await newCode(), verifier, 'http://127.0.0.1:9/other'), /no longer accepts/);
    const code = await newCode();
    const grant = await exchange(code, verifier);
    assert.equal((await twitter.verify(grant.credentials, io)).username, 'pkce');
    await assert.rejects(exchange(code, verifier), /no longer accepts/);
    await assert.rejects(twitter.verify(grant.credentials, io), /no longer accepts/, 'a code that comes twice revokes what it gave');
    await sim.set({ codeMs: 1 });
    const old = await newCode();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(exchange(old, verifier), /no longer accepts/);
    await sim.set({ codeMs: 60_000 });
  });

  it('lets access tokens expire', async () => {
    await sim.set({ accessTokenMs: 1 });
    const io = ioFor(twitter, sim);
    await assert.rejects(connect(twitter, io, 'shortlived').then(async ({ grant }) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return twitter.verify(grant.credentials, io);
    }), /no longer accepts/);
    await sim.set({ accessTokenMs: 3600_000 });
  });

  it('makes a marked fault once, and never again for the same post, not even after a restart', async () => {
    const { grant } = await connect(twitter, ioFor(twitter, sim), 'marked');
    const content = contentFor(twitter, 'Once [[fault: refused]]');
    await assert.rejects(twitter.publish(content, grant.credentials, ioFor(twitter, sim)));
    await sim.restart();
    await twitter.publish(content, grant.credentials, ioFor(twitter, sim));
    const stubborn = contentFor(twitter, 'Three times [[fault: refused times=3]]');
    for (let i = 0; i < 3; i++) await assert.rejects(twitter.publish(stubborn, grant.credentials, ioFor(twitter, sim)));
    await twitter.publish(stubborn, grant.credentials, ioFor(twitter, sim));
  });

  it('draws random faults from a seed: the same run fails the same way', async () => {
    const { grant } = await connect(twitter, ioFor(twitter, sim), 'seeded');
    const run = async (): Promise<boolean[]> => {
      await sim.clearFaults();
      await sim.fault({ kind: 'refused', network: 'twitter', handle: 'seeded', probability: 0.5, seed: 7 });
      const outcomes: boolean[] = [];
      for (let i = 0; i < 20; i++) outcomes.push(await twitter.publish(contentFor(twitter, `Seeded ${i}`), grant.credentials, ioFor(twitter, sim)).then(() => true, () => false));
      await sim.clearFaults();
      return outcomes;
    };
    const first = await run();
    assert.ok(first.includes(true) && first.includes(false));
    assert.deepEqual(await run(), first);
  });

  it('refuses a text that was posted before, and sets its clock wrong, when told to', async () => {
    const io = ioFor(twitter, sim);
    const { grant } = await connect(twitter, io, 'strict');
    await sim.set({ refuseDuplicates: true });
    await twitter.publish(contentFor(twitter, 'Twice'), grant.credentials, io);
    await assert.rejects(twitter.publish(contentFor(twitter, 'Twice'), grant.credentials, io), /already has a post with this text/);
    await sim.set({ refuseDuplicates: false, clockSkewMs: 3 * 3600_000 });
    await assert.rejects(twitter.verify(grant.credentials, io), /no longer accepts/);
    await sim.set({ clockSkewMs: 0 });
    assert.equal((await twitter.verify(grant.credentials, io)).username, 'strict');
  });

  it('spends a refresh token for somebody else when told to', async () => {
    const io = ioFor(twitter, sim);
    const { grant } = await connect(twitter, io, 'raced');
    await sim.fault({ kind: 'already-rotated', act: 'refresh', handle: 'raced', times: 1 });
    await assert.rejects(twitter.oauth!.refresh!(grant.credentials, io), /no longer accepts/);
    await assert.rejects(twitter.oauth!.refresh!(grant.credentials, io), /no longer accepts/);
  });

  it('rewrites a journal that is mostly outdated, and keeps what it says', async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'signpost-compact-'));
    const journalFile = path.join(dir, 'simulator.jsonl');
    const account = { network: 'twitter', id: '1', handle: 'ada', displayName: 'Ada', createdAt: 0 };
    const lines = Array.from({ length: 1500 }, (_, i) => JSON.stringify({ kind: 'account', value: { ...account, displayName: `Ada ${i}` } }));
    await writeFile(journalFile, `${lines.join('\n')}\n${JSON.stringify({ kind: 'fired', value: 'x' })}\n`);
    for (let starts = 0; starts < 2; starts++) {
      const simulator = await startSimulator({ host: '127.0.0.1', port: 0, journalFile, networks: simulatedNetworks, log: createLogger('silent') });
      const { data } = await browser.get<{ accounts: { displayName: string }[] }>(`${simulator.url}/simulator/accounts`);
      assert.deepEqual(data.accounts.map((one) => one.displayName), ['Ada 1499']);
      await simulator.stop();
    }
    assert.equal((await readFile(journalFile, 'utf8')).trim().split('\n').length, 3);
    await rm(dir, { recursive: true });
  });

  it('answers every network\'s requests, whatever they hold, without falling over or showing its insides', async () => {
    const hostile = [[], 'text', 7, null, { media: 7 }, { text: { $gt: '' } }, { attached_media: 'x', children: {}, media: [null], blocks: [null], media_ids: [{}] }, { record: { text: [], embed: { images: [7] } } }, { saved_stories: [7], media_source: { items: 3 } }];
    for (const network of simulatedNetworks) {
      const platform = findPlatform(network.id)!;
      const { grant } = await connect(platform, ioFor(platform, sim), network.exampleHandle);
      const token = String(grant.credentials['accessToken']);
      for (const route of network.routes) {
        for (const [i, body] of hostile.entries()) {
          const path = route.path.replace(':token', token).replace(/:\w+/g, i % 2 === 0 ? 'x' : '__proto__');
          const answer = await browser.request<unknown>({ method: route.method, url: `${sim.simulator.url}/${network.id}/api${path}`, data: JSON.stringify(body), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
          const shown = `${route.method} ${network.id} ${route.path} ${JSON.stringify(body)}: ${answer.status}`;
          assert.ok(answer.status < 500, shown);
          assert.ok(!JSON.stringify(answer.data ?? '').includes('node_modules'), shown);
        }
      }
    }
    assert.equal((await browser.get(`${sim.simulator.url}/twitter/web/%E0%A4%A`)).status, 400);
  });

  it('refuses control requests that make no sense, naming the field', async () => {
    const answer = await browser.post<{ errors: { field: string; message: string }[] }>(`${sim.simulator.url}/simulator/faults`, { kind: 'no-such-fault' });
    assert.equal(answer.status, 400);
    assert.equal(answer.data.errors[0]?.field, 'kind');
    assert.match(answer.data.errors[0]?.message ?? '', /must be one of timeout-after-accept/);
    const elsewhere = await browser.post<{ errors: { field: string; message: string }[] }>(`${sim.simulator.url}/simulator/faults`, { kind: 'slow', network: 'twiter' });
    assert.deepEqual([elsewhere.status, elsewhere.data.errors[0]?.field], [400, 'network']);
    for (const body of ['{bad', 'null', 'x'.repeat(200_000)]) {
      const { status, data } = await browser.post<{ errors: { message: string }[] }>(`${sim.simulator.url}/simulator/faults`, body, { headers: { 'content-type': 'application/json' } });
      assert.ok(status === 400 || status === 413);
      assert.match(data.errors[0]?.message ?? '', /^The body is /);
    }
  });

  it('takes no harm from options of faults that make no sense', async () => {
    const io = ioFor(twitter, sim);
    const { grant } = await connect(twitter, io, 'odd_options');
    for (const marker of ['late ms=1e99', 'late ms=-5', 'slow ms=oops', 'rate-limited after=1e99']) {
      await twitter.publish(contentFor(twitter, `Odd [[fault: ${marker}]]`), grant.credentials, io).catch((error: unknown) => assert.ok(error instanceof PlatformFailure));
    }
    assert.equal((await sim.posts({ handle: 'odd_options' })).length, 3);
  });

  it('really refuses connections during an outage', async () => {
    const io = ioFor(twitter, sim);
    const { grant } = await connect(twitter, io, 'outage');
    await browser.post(`${sim.simulator.url}/simulator/outage`, { ms: 300 });
    await assert.rejects(twitter.publish(contentFor(twitter), grant.credentials, io), /Nothing was sent/);
    await assert.doesNotReject(async () => {
      for (let tries = 0; tries < 100; tries++) {
        const isUp = await twitter.verify(grant.credentials, io).then(() => true, () => false);
        if (isUp) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error('it did not come back');
    });
  });
});
