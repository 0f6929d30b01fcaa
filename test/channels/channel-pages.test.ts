/** The page of channels and `GET /api/user`, over HTTP on the whole product. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { consent } from '../platforms/simulated.js';
import { httpSession, type HttpSession, type Page } from '../support/http-session.js';
import { startApp, type TestApp } from '../support/start-app.js';

describe('the page of channels', () => {
  let app: TestApp;
  before(async () => {
    app = await startApp();
  });
  after(() => app.stop());

  async function signedUp(email: string): Promise<HttpSession> {
    const session = httpSession(app.url);
    const page = await session.post('/sign-up', { email, password: 'correct horse battery staple', timeZone: 'UTC' }, { from: '/sign-up' });
    assert.equal(page.status, 200, textOf(page));
    return session;
  }

  /** Presses "Connect" and answers the network's consent page. @returns where the network sends the browser */
  async function goThrough(session: HttpSession, platform: string, handle: string, decision: 'allow' | 'deny' = 'allow'): Promise<URL> {
    await session.get('/channels');
    const begun = await session.request(`/channels/connect/${platform}`, { method: 'POST', body: new URLSearchParams({ _csrf: session.csrfToken()! }), headers: { origin: app.url } });
    assert.equal(begun.status, 303);
    return consent(begun.headers.get('location')!, handle, decision);
  }

  it('says what to do next while nothing is connected', async () => {
    const session = await signedUp('empty@example.com');
    const page = await session.get('/channels');
    assert.match(textOf(page), /No channel connected yet.*Connect Bluesky.*Connect TikTok.*Connect X.*Connect YouTube/);
  });

  it('connects a channel through the consent page and shows it', async () => {
    const session = await signedUp('ada@example.com');
    const back = await goThrough(session, 'bluesky', 'ada.bsky.social');
    const page = await session.get(back.href);
    assert.match(textOf(page), /Bluesky is connected as @ada\.bsky\.social/);
    assert.match(textOf(page), /Simulated Connected/);
    assert.ok(!page.text.includes('Connect Bluesky'));
    const again = await session.get(back.href);
    assert.match(textOf(again), /was used already/);
  });

  it('explains a refusal, a forged return and a return of somebody else; none connects anything', async () => {
    const [session, stranger] = [await signedUp('grace@example.com'), await signedUp('mallory@example.com')];
    assert.match(textOf(await session.get((await goThrough(session, 'twitter', 'grace', 'deny')).href)), /was not allowed to give access/);
    for (const query of ['', '?state=', '?state=nonsense&code=x', '?state[$gt]=&code[$gt]=', '?state=a&state=b&code=c']) {
      assert.match(textOf(await session.get(`/channels/callback${query}`)), /not known here/, query);
    }
    const back = await goThrough(session, 'twitter', 'grace');
    assert.match(textOf(await stranger.get(back.href)), /begun by someone else/);
    assert.match(textOf(await stranger.get('/channels')), /No channel connected yet/);
    const visitor = await httpSession(app.url).get(back.href);
    assert.match(visitor.url, /sign-in/);
  });

  it('refuses a forged form and an unknown platform', async () => {
    const session = await signedUp('edsger@example.com');
    assert.equal((await session.post('/channels/connect/twitter', {}, { csrf: 'forged' })).status, 403);
    assert.equal((await session.post('/channels/connect/myspace', {}, { from: '/channels' })).status, 404);
    assert.equal((await session.get('/channels/chn_unknown/disconnect')).status, 404);
  });

  it('disconnects after saying which scheduled posts that hits, and only the own channel', async () => {
    const [session, stranger] = [await signedUp('barbara@example.com'), await signedUp('eve@example.com')];
    const listed = await session.get((await goThrough(session, 'twitter', 'barbara')).href);
    const path = /\/channels\/chn_\w+\/disconnect/.exec(listed.text)![0];
    await apiCall(session, 'POST', '/api/post', { post: 'Later', platforms: ['twitter'], scheduleDate: new Date(Date.now() + 3600_000).toISOString() });
    assert.match(textOf(await session.get(path)), /1 scheduled post goes to this channel/);
    assert.equal((await stranger.post(path, {}, { from: '/channels' })).status, 404);
    assert.match(textOf(await session.post(path, {}, { from: path })), /is disconnected\. Signpost has forgotten its sign-in/);
    assert.equal((await session.get(path)).status, 404);
  });

  it('connects Telegram with a bot token, and says beside the field what is wrong with one', async () => {
    const session = await signedUp('hedy@example.com');
    await session.get('/channels');
    const page = await session.post('/channels/connect/telegram', {});
    assert.match(textOf(page), /Talk to @BotFather.*Bot token.*Channel/);
    const given = await fetch(`${app.simulatorUrl}/telegram/web/botfather`, { method: 'POST', body: new URLSearchParams({ newHandle: 'hedy_news' }) });
    const [botToken, chatId] = [...(await given.text()).matchAll(/<dd><code>([^<]*)/g)].map((match) => match[1]!);
    const fields = '/channels/connect/telegram/fields';
    for (const [input, problem] of [[{ botToken: '', chatId: '' }, /This is required/], [{ botToken: 'x', chatId: '@a' }, /This is not a bot token/], [{ botToken: '1:aaaaaaaaaaaaaaa', chatId: '@a' }, /doesn't accept this/], [{ botToken: botToken!, chatId: '@nobody' }, /Telegram doesn't know the channel/]] as const) {
      const refused = await session.post(fields, input, { from: '/channels/connect/telegram' });
      assert.equal(refused.status, 422);
      assert.match(textOf(refused), problem);
      assert.ok(botToken === '' || !refused.text.includes(botToken!), 'a token must not come back in the page');
    }
    const done = await session.post(fields, { botToken: botToken!, chatId: chatId! }, { from: '/channels/connect/telegram' });
    assert.match(textOf(done), /Telegram is connected as @hedy_news/);
    assert.equal((await session.get('/channels/connect/twitter')).status, 404);
  });

  it('lets the simulated network misbehave for one channel, until told to behave', async () => {
    const session = await signedUp('rosalind@example.com');
    const listed = await session.get((await goThrough(session, 'twitter', 'rosalind')).href);
    const path = /\/channels\/chn_\w+\/trouble/.exec(listed.text)![0];
    const bad = await session.post(path, { kind: 'no-such', act: 'publish', times: '-1' }, { from: path });
    assert.equal(bad.status, 422);
    assert.match(textOf(bad), /Choose what goes wrong.*This must be at least 1/);
    assert.match(textOf(await session.post(path, { kind: 'refused', act: 'publish', times: '' }, { from: path })), /Going wrong now refused when publishing, every time/);
    const refused = await apiCall(session, 'POST', '/api/post', { post: 'Trouble', platforms: ['twitter'] });
    assert.equal(refused['status'], 'error');
    await session.post(`${path}/clear`, {}, { from: path });
    assert.ok(!textOf(await session.get(path)).includes('Going wrong now'));
    assert.equal((await apiCall(session, 'POST', '/api/post', { post: 'Trouble again', platforms: ['twitter'] }))['status'], 'success');
    assert.ok(!(await session.get(path)).text.includes('value="expires"'), 'what cannot happen there is not offered');
    assert.match(textOf(await session.post(path, { kind: 'expires', act: 'publish', times: '1' }, { from: path })), /can't go wrong at this network/);
    const stranger = await signedUp('eve2@example.com');
    assert.equal((await stranger.post(path, { kind: 'refused' }, { from: '/channels' })).status, 404);
  });

  it('lists the channels in GET /api/user', async () => {
    const session = await signedUp('alan@example.com');
    const before = await apiCall(session, 'GET', '/api/user');
    assert.equal(before['email'], 'alan@example.com');
    assert.equal('activeSocialAccounts' in before, false);
    assert.match(String(before['refId']), /^[0-9a-f]{40}$/);
    await session.get((await goThrough(session, 'twitter', 'alan')).href);
    await session.get((await goThrough(session, 'bluesky', 'alan.bsky.social')).href);
    const user = await apiCall(session, 'GET', '/api/user');
    assert.deepEqual(user['activeSocialAccounts'], ['bluesky', 'twitter']);
    const names = user['displayNames'] as Record<string, string>[];
    assert.deepEqual(names.map((name) => [name['platform'], name['username']]), [['bluesky', 'alan.bsky.social'], ['twitter', 'alan']]);
    assert.ok(!JSON.stringify(user).includes('sim_'));
  });

  const keys = new Map<HttpSession, string>();

  async function apiCall(session: HttpSession, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const key = keys.get(session) ?? /id="new-key">([^<]+)/.exec((await session.post('/api-keys', { name: 'test' }, { from: '/api-keys' })).text)![1]!;
    keys.set(session, key);
    const response = await fetch(`${app.url}${path}`, {
      method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as Record<string, unknown>;
  }
});

/** What a reader sees of the page's main part. */
function textOf(page: Page): string {
  const main = /<main[\s\S]*<\/main>/.exec(page.text)?.[0] ?? page.text;
  return main.replace(/<svg[\s\S]*?<\/svg>/g, ' ').replace(/<[^>]+>/g, ' ').replaceAll('&#39;', "'").replace(/\s+/g, ' ');
}
