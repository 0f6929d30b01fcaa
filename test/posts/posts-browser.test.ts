/** The pages of posts in a real browser: counters that never lag wrongly, choices in time, live updates, accessibility. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { HttpSession } from '../support/http-session.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { inSeconds, startPostsApp } from './posts-app.js';

describe('the pages of posts in a browser', { skip: noBrowser() }, async () => {
  const skip = noBrowser() !== false;
  const app = skip ? null : await startPostsApp();
  const user = app === null ? null : await app.newcomer(['bluesky', 'twitter']);
  const browser: Browser | null = skip ? null : await launchBrowser();
  after(() => browser?.close());

  /** A page of somebody who is signed in, with every complaint of the browser collected. */
  async function open(session: HttpSession, path: string, options: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser!.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    await context.addCookies(session.cookies().split('; ').map((pair) => ({ name: pair.slice(0, pair.indexOf('=')), value: pair.slice(pair.indexOf('=') + 1), url: app!.url })));
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/status of 422/.test(message.text())) complaints.push(message.text());
    });
    await page.goto(new URL(path, app!.url).href);
    return { page, complaints };
  }

  const hasText = (page: Page, selector: string, text: string) => page.locator(selector).filter({ hasText: text }).waitFor();

  test('counters follow the text in each platform\'s own rule, and a late answer to an older text is ignored', async () => {
    const { page, complaints } = await open(user!.session, '/posts/new');
    await page.check('#channel-bluesky');
    await page.check('#channel-twitter');
    let held: (() => Promise<void>) | null = null;
    await page.route('**/posts/preview', async (route) => {
      if (held === null && (route.request().postData() ?? '').includes('post=old')) {
        held = () => route.continue().catch(() => undefined);
        return;
      }
      await route.continue();
    });
    const asked = page.waitForRequest((request) => (request.postData() ?? '').includes('post=old'));
    await page.fill('#post-text', 'old text that is long enough to be told apart');
    await asked;
    await page.fill('#post-text', 'new 👨‍👩‍👧');
    await hasText(page, '[data-counter="bluesky"]', '5 / 300');
    await hasText(page, '[data-counter="twitter"]', '6 / 280');
    await held!();
    await page.fill('#post-text', 'x'.repeat(290));
    await hasText(page, '[data-counter="twitter"]', '290 / 280, 10 too many');
    await hasText(page, '#post-live', 'too long for X: 290');
    assert.equal(await page.getAttribute('#compose', 'data-counting'), 'no');
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a blocked post says which platform and by how much, keeps the text and can be mended', async () => {
    const { page, complaints } = await open(user!.session, '/posts/new');
    await page.check('#channel-twitter');
    await page.fill('#post-text', 'y'.repeat(283));
    await page.fill('#schedule-date', '2027-07-08T14:30');
    await page.click('#send');
    await page.waitForSelector('#form-problems');
    assert.match(await page.innerText('#form-problems'), /too long for X: 283.*Shorten it by 3/);
    assert.equal(await page.evaluate('document.activeElement.id'), 'form-problems');
    assert.equal((await page.inputValue('#post-text')).length, 283);
    await page.fill('#post-text', 'short enough');
    assert.equal(await page.locator('#post-problem').count(), 0, 'what was said about the old text goes');
    await page.click('#send');
    await page.waitForURL(/\/posts\/[A-Za-z0-9]{20}$/);
    assert.match(await page.innerText('main'), /8 Jul 2027, 14:30 Europe\/Berlin \(GMT\+2\)/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a thread\'s items are added, checked while they are written, and removed', async () => {
    const { page, complaints } = await open(user!.session, '/posts/new');
    await page.check('#channel-twitter');
    await page.fill('#post-text', 'One');
    await page.click('#follow-ups summary');
    await page.click('#add-item');
    assert.equal(await page.evaluate('document.activeElement.id'), 'thread-0');
    await page.fill('#thread-0', 'to go');
    await page.click('#add-item');
    await page.fill('#thread-1', 'z'.repeat(285));
    await hasText(page, '#thread-1-live', 'too long for X: 285');
    await page.click('[data-thread-item]:first-child [data-remove-item]');
    assert.equal(await page.locator('[data-thread-item]').count(), 1);
    assert.equal(await page.innerText('label[for="thread-0"]'), 'Item 2');
    await hasText(page, '#thread-0-live', 'too long for X: 285');
    await page.fill('#thread-0', 'Two');
    await page.fill('#first-comment', 'And a comment');
    await page.fill('#schedule-date', '2027-07-08T14:30');
    await page.press('#schedule-date', 'Enter');
    await page.waitForURL(/\/posts\/[A-Za-z0-9]{20}$/);
    assert.match(await page.innerText('main'), /Thread item 2[\s\S]*Two[\s\S]*First comment[\s\S]*And a comment/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a time that happens twice is asked about before anything is sent', async () => {
    const { page } = await open(user!.session, '/posts/new');
    assert.equal(await page.locator('#occurrence').isVisible(), false);
    await page.fill('#schedule-date', '2027-10-31T02:30');
    await page.waitForSelector('#occurrence:not([hidden])');
    assert.match(await page.innerText('#occurrence'), /first \(UTC\+02:00\)[\s\S]*second \(UTC\+01:00\)/);
    await page.fill('#schedule-date', '2027-03-28T02:30');
    await hasText(page, '[data-time-note]', 'does not exist in Europe/Berlin');
    assert.equal(await page.locator('#occurrence').isVisible(), false);
    await page.check('#when-now');
    assert.equal(await page.locator('#schedule-date').isVisible(), false);
    assert.equal(await page.innerText('#send'), 'Publish now');
    await page.context().close();
  });

  test('a post\'s page follows it until it is published, without taking the focus or closing what is open', async () => {
    const { body } = await user!.call('POST', '/api/post', { post: 'Watch me', platforms: ['bluesky'], scheduleDate: inSeconds(4) });
    const { page, complaints } = await open(user!.session, `/posts/${String(body['id'])}`);
    await page.waitForSelector('#live-note');
    await page.click('#post-history summary');
    await page.waitForSelector('text=Open on Bluesky', { timeout: 15_000 });
    await page.waitForSelector('#live-note', { state: 'detached' });
    assert.equal(await page.evaluate('document.querySelector("#post-history").open'), true);
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'History');
    assert.match(await page.innerText('#post-status'), /Published/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('the list follows its posts without taking the focus', async () => {
    const { session, call } = await app!.newcomer(['bluesky']);
    await call('POST', '/api/post', { post: 'Waits', platforms: ['bluesky'], scheduleDate: inSeconds(86_400) });
    const { page, complaints } = await open(session, '/posts');
    await page.focus('.post-row-text');
    await call('POST', '/api/post', { post: 'Comes in', platforms: ['bluesky'], scheduleDate: inSeconds(2) });
    await page.locator('.post-row').filter({ hasText: 'Comes in' }).filter({ hasText: 'Scheduled' }).waitFor();
    await page.locator('.post-row').filter({ hasText: 'Comes in' }).filter({ hasText: 'Published' }).waitFor();
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Waits');
    assert.equal(await page.innerText('#tab-success .tab-count'), '1');
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('have no barrier that axe finds and fit a narrow screen, light and dark', async () => {
    const { body } = await user!.call('POST', '/api/post', { post: `https://example.com/${'long/'.repeat(40)}`, platforms: ['bluesky'], scheduleDate: inSeconds(86_400), notes: 'n' });
    const thread = await user!.call('POST', '/api/post', { post: 'Root', platforms: ['twitter'], thread: ['two', 'three [[fault: refused]]'], firstComment: { comment: 'c' } });
    const paths = ['/posts/new', `/posts/new?copy=${String(thread.body['id'])}`, `/posts/${String(thread.body['id'])}`, '/posts', '/posts?status=error', `/posts/${String(body['id'])}`, `/posts/${String(body['id'])}/edit`];
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1280, 320]) {
        const { page } = await open(user!.session, '/posts/new', { viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
        for (const path of paths) {
          await page.goto(new URL(path, app!.url).href);
          await page.evaluate(axe.source);
          const violations = await page.evaluate('axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes[0].html))');
          assert.deepEqual(violations, [], `${path} ${colorScheme} ${width}`);
          assert.ok(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${path} is wider than ${width} px`);
        }
        await page.context().close();
      }
    }
  });
});
