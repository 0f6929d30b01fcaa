/** Real networks beside the simulated ones: a second simulator stands in for them, so that the addresses are all that differs. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { formIn, type HttpSession, type Page } from '../../src/cli/http-session.js';
import { readConfig } from '../../src/config.js';
import { simulatedUrls } from '../../src/platforms/network-urls.js';
import { findPlatform, platforms } from '../../src/platforms/registry.js';
import { consent, ioFor, openSimulator, valuesGiven, type TestSimulator } from '../platforms/simulated.js';
import { startApp, type TestApp } from '../support/start-app.js';

const X_APP = { TWITTER_CLIENT_ID: 'my-app', TWITTER_CLIENT_SECRET: 'my-secret' };

describe('real networks', () => {
  let real: TestSimulator;
  let app: TestApp;
  before(async () => {
    real = await openSimulator();
    app = await startApp({ env: X_APP, networkUrls: (platform) => simulatedUrls(platform.id, { callUrl: real.simulator.url, browserUrl: real.simulator.publicUrl }) });
  });
  after(async () => {
    await app.stop();
    await real.close();
  });
  let people = 0;
  const someone = async (): Promise<HttpSession> => (await signUp(app.url, { email: `real${++people}@example.com` })).session;
  const begin = async (session: HttpSession, platform: string, network: string): Promise<Response> => {
    await session.get('/channels');
    return session.request(`/channels/connect/${platform}`, { method: 'POST', body: new URLSearchParams({ _csrf: session.csrfToken()!, network }), headers: { origin: app.url } });
  };

  it('are offered where they can be connected, the others are named, and forms may lead to their consent pages', async () => {
    const page = await (await someone()).get('/channels');
    const text = textOf(page);
    for (const name of ['Bluesky', 'Discord', 'Slack', 'Telegram', 'X']) assert.ok(text.includes(`Connect your ${name} account`), name);
    assert.ok(!text.includes('Connect your LinkedIn account'));
    assert.match(text, /Not set up here: Facebook, .*LinkedIn.*YouTube\. They need an app/);
    assert.ok(page.headers.get('content-security-policy')?.includes(new URL(real.simulator.publicUrl).origin));
  });

  it('are connected by consent with the app of the operator, and posts go there, not to the simulated ones', async () => {
    const session = await someone();
    const begun = await begin(session, 'twitter', 'real');
    const address = new URL(begun.headers.get('location')!);
    assert.equal(address.searchParams.get('client_id'), 'my-app');
    const page = await session.get((await consent(address.href, 'ada')).href);
    assert.match(textOf(page), /X is connected as @ada/);
    assert.ok(!/Simulated Connected/.test(textOf(page)), 'it is not marked as simulated');
    assert.ok(!page.text.includes('/trouble'), 'nobody can make a real network misbehave');
    const id = /\/channels\/(chn_\w+)\/disconnect/.exec(page.text)![1]!;
    assert.equal((await session.get(`/channels/${id}/trouble`)).status, 404);
    const { body } = await apiClient(app.url, await createApiKey(session)).post('/api/post', { post: 'To the real one', platforms: ['twitter'] });
    assert.equal(body['status'], 'success', JSON.stringify(body));
    assert.equal((await real.posts({ text: 'To the real one' })).length, 1);
    const simulated = await fetch(`${app.simulatorUrl}/simulator/posts`).then((answer) => answer.json()) as { posts: unknown[] };
    assert.deepEqual(simulated.posts, []);
  });

  it('are connected with what the network gave where no app is needed; the secret never comes back in a page', async () => {
    for (const [platform, handle, secret] of [['bluesky', 'grace.bsky.social', 'appPassword'], ['discord', 'news', 'webhookUrl'], ['slack', 'news', 'botToken'], ['telegram', 'grace_news', 'botToken']] as const) {
      const session = await someone();
      const begun = await begin(session, platform, 'real');
      const shown = await session.get(begun.headers.get('location')!);
      assert.ok(!textOf(shown).includes('simulated'), platform);
      const { action, fields } = formIn(shown.text, `/channels/connect/${platform}/fields`);
      const values = await valuesGiven(findPlatform(platform)!, ioFor(findPlatform(platform)!, real), handle);
      const wrong = await session.post(action, { ...fields, ...values, [secret]: 'my main password' });
      assert.equal(wrong.status, 422);
      assert.match(textOf(wrong), /This is not (an app password|a webhook's URL|a bot's token|a bot token)/);
      assert.ok(!wrong.text.includes('my main password'));
      const done = await session.post(action, { ...fields, ...values });
      assert.match(textOf(done), new RegExp(`${findPlatform(platform)!.name} is connected as @${handle}`), platform);
      const { body } = await apiClient(app.url, await createApiKey(session)).post('/api/post', { post: `Hello from ${platform}`, platforms: [platform] });
      assert.equal(body['status'], 'success', JSON.stringify(body));
      assert.deepEqual((await real.posts({ text: `Hello from ${platform}` })).map((post) => post.network), [platform]);
    }
  });

  it('say in words when an app password is wrong or no longer there', async () => {
    const session = await someone();
    await begin(session, 'bluesky', 'real');
    const wrong = await session.post('/channels/connect/bluesky/fields', { network: 'real', handle: '@ada.bsky.social', appPassword: 'abcd-efgh-ijkl-mnop' }, { from: '/channels/connect/bluesky?network=real' });
    assert.equal(wrong.status, 422);
    assert.match(textOf(wrong), /Bluesky doesn't accept this\. Check it and try again\./);
  });

  it('without an app are refused in words', async () => {
    const session = await someone();
    const page = await session.post('/channels/connect/linkedin', { network: 'real' }, { from: '/channels' });
    assert.equal(page.status, 404);
    assert.match(textOf(page), /Real accounts of LinkedIn can't be connected here/);
    assert.equal((await session.get('/channels/connect/linkedin?network=real')).status, 404);
  });
});

describe('the choice of networks', () => {
  it('leaves real ones out when the operator wants only simulated ones', async () => {
    const app = await startApp({ env: { ...X_APP, NETWORKS: 'simulated' } });
    try {
      const { session } = await signUp(app.url);
      const text = textOf(await session.get('/channels'));
      assert.ok(text.includes('Connect Bluesky') && !text.includes('Connect your'));
      assert.equal((await session.post('/channels/connect/bluesky', { network: 'real' }, { from: '/channels' })).status, 404);
    } finally {
      await app.stop();
    }
  });

  it('starts no simulator when the operator wants only real ones, and starts and stops without it', async () => {
    const app = await startApp({ env: { ...X_APP, NETWORKS: 'real' } });
    try {
      assert.equal(app.simulatorUrl, '');
      const { session } = await signUp(app.url);
      const page = await session.get('/channels');
      assert.ok(textOf(page).includes('Connect your X account') && !textOf(page).includes('Connect Bluesky') && !textOf(page).includes('simulated'));
      assert.match(page.headers.get('content-security-policy') ?? '', /form-action 'self' https:\/\/x\.com/);
      const begun = await session.request('/channels/connect/twitter', { method: 'POST', body: new URLSearchParams({ _csrf: session.csrfToken()! }), headers: { origin: app.url } });
      assert.match(begun.headers.get('location') ?? '', /^https:\/\/x\.com\/i\/oauth2\/authorize\?client_id=my-app&/);
    } finally {
      await app.stop();
    }
  });

  it('is checked at the start: an app needs id and secret, and every platform with a consent page has settings', () => {
    assert.throws(() => readConfig({ TWITTER_CLIENT_ID: 'only' }), /TWITTER_CLIENT_SECRET: is needed with TWITTER_CLIENT_ID/);
    assert.throws(() => readConfig({ NETWORKS: 'imaginary' }), /NETWORKS: must be real, simulated or real,simulated/);
    for (const { id, connectFields } of platforms) {
      if (connectFields !== undefined) continue;
      const { apps } = readConfig({ [`${id.toUpperCase()}_CLIENT_ID`]: 'i', [`${id.toUpperCase()}_CLIENT_SECRET`]: 's' });
      assert.deepEqual(apps, { [id]: { clientId: 'i', clientSecret: 's' } }, id);
    }
    assert.deepEqual(readConfig({ MASTODON_SERVER: 'https://fosstodon.org/' }).networkUrls, { mastodon: 'https://fosstodon.org' });
  });
});

/** What a reader sees of the page's main part. */
function textOf(page: Page): string {
  const main = /<main[\s\S]*<\/main>/.exec(page.text)?.[0] ?? page.text;
  return main.replace(/<svg[\s\S]*?<\/svg>/g, ' ').replace(/<[^>]+>/g, ' ').replaceAll('&#39;', "'").replace(/\s+/g, ' ');
}
