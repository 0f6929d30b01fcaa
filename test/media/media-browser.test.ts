/** Uploads in a real browser: chosen, seen, taken out, sent with the post; and what is refused. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { aPng, aPngOf, anMp4 } from '../support/media-files.js';
import { consoleProblems, pageProblems } from '../support/page-check.js';
import { waitUntil } from '../support/wait-until.js';
import { startMediaApp, type Uploader } from './media-app.js';

describe('uploads in a browser', { skip: noBrowser() }, async () => {
  const skip = noBrowser() !== false;
  const app = skip ? null : await startMediaApp({ env: { SIGNUP: 'open' } });
  const browser: Browser | null = skip ? null : await launchBrowser();
  after(() => browser?.close());

  async function open(who: Uploader, path: string, scripts = true): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser!.newContext({ viewport: { width: 1280, height: 900 }, javaScriptEnabled: scripts });
    await context.addCookies(who.session.cookies().split('; ').map((pair) => ({ name: pair.slice(0, pair.indexOf('=')), value: pair.slice(pair.indexOf('=') + 1), url: app!.url })));
    const page = await context.newPage();
    const complaints = consoleProblems(page);
    await page.goto(app!.url + path);
    return { page, complaints };
  }

  const png = (name: string, data = aPng(60, 40)) => ({ name, mimeType: 'image/png', buffer: data });

  test('files that are chosen become addresses with a picture, can be taken out, and go with the post', async () => {
    const ada = await app!.newcomer(['bluesky']);
    const { page, complaints } = await open(ada, '/posts/new');
    await page.fill('#post-text', 'Two pictures, one of them taken out');
    await page.click('#media summary');
    await page.setInputFiles('#media-files', [png('one.png'), png('two.png'), { name: 'film.mp4', mimeType: 'video/mp4', buffer: anMp4() }]);
    await page.locator('#media-previews li').nth(2).waitFor();
    assert.equal((await page.inputValue('#media-urls')).split('\n').length, 3);
    await page.locator('#media-previews img').first().evaluate('(image) => image.decode()');
    // Bluesky takes a video or images: what was uploaded is judged while the post is written.
    await page.locator('#media-live').filter({ hasText: "doesn't mix" }).waitFor();
    await page.locator('#compose[data-counting="no"]').waitFor();
    assert.deepEqual(await pageProblems(page), []);
    await page.click('text=Take out file 3');
    await page.click('text=Take out file 2');
    assert.equal((await page.inputValue('#media-urls')).split('\n').length, 1);
    await page.check('#when-now');
    await page.click('#send');
    await page.waitForURL(/\/posts\/\w{20}$/);
    const sent = await waitUntil('the post to be public', async () => {
      const { posts } = (await (await fetch(`${app!.simulatorUrl}/simulator/posts`)).json()) as { posts: { text: string; media: string[] }[] };
      return posts.find(({ text }) => text.startsWith('Two pictures')) ?? null;
    });
    assert.match(sent.media.join(' '), /^\S+\/media\/[0-9a-f]{40}\.png$/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a post that is sent while a file is on its way waits for it', async () => {
    const ada = await app!.newcomer(['bluesky']);
    const { page } = await open(ada, '/posts/new');
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    await page.route('**/media', async (route) => {
      if (route.request().method() === 'POST') await held;
      await route.continue();
    });
    await page.fill('#post-text', 'Sent too early');
    await page.click('#media summary');
    await page.setInputFiles('#media-files', [png('slow.png')]);
    await page.locator('#media-upload-progress').waitFor();
    await page.click('#send');
    await page.locator('#media-upload-progress').filter({ hasText: 'as soon as its files are uploaded' }).waitFor();
    letGo();
    await page.waitForURL(/\/posts\/\w{20}$/);
    assert.match(await page.textContent('main') ?? '', /\/media\/[0-9a-f]{40}\.png/);
    await page.context().close();
  });

  test('what can\'t be taken is said below the field, and the rest goes on', async () => {
    const ada = await app!.newcomer(['bluesky']);
    const { page } = await open(ada, '/posts/new');
    await page.click('#media summary');
    await page.setInputFiles('#media-files', [png('huge.png', aPngOf(1_100_000)), { name: 'page.html', mimeType: 'text/html', buffer: Buffer.from('<script>') }, png('good.png')]);
    await page.locator('#media-previews li').waitFor();
    const said = await page.locator('#media-upload-problems li').allTextContents();
    assert.equal(said.length, 2);
    assert.match(said[0]!, /huge\.png: The file is too large: at most 1 MB/);
    assert.match(said[1]!, /page\.html: This kind of file is not taken/);
    await page.locator('#compose[data-counting="no"]').waitFor();
    assert.deepEqual(await pageProblems(page), []);
    await page.context().close();
  });

  test('without scripts a file goes with the form; the page of files is well made, and deletes', async () => {
    const ada = await app!.newcomer(['bluesky']);
    const plain = await open(ada, '/posts/new', false);
    await plain.page.fill('#post-text', 'No scripts here');
    await plain.page.locator('#media summary').click();
    await plain.page.setInputFiles('#media-files', [png('plain.png')]);
    await plain.page.check('#channel-bluesky');
    await plain.page.click('#send');
    await plain.page.waitForURL(/\/posts\/\w{20}$/);
    await plain.page.context().close();
    const { page, complaints } = await open(ada, '/media');
    await page.setInputFiles('#files', [png('second.png'), { name: 'film.mp4', mimeType: 'video/mp4', buffer: anMp4() }]);
    await page.click('button:has-text("Upload")');
    await page.locator('.media-grid > li').nth(2).waitFor();
    assert.deepEqual(await pageProblems(page), []);
    const viewer = await page.context().newPage();
    const seen = consoleProblems(viewer);
    const played = viewer.waitForResponse((response) => response.url().endsWith('.mp4') && response.status() === 206);
    await viewer.goto(app!.url + (await page.locator('.media-name a', { hasText: 'film.mp4' }).getAttribute('href') ?? ''));
    await played;
    assert.deepEqual(seen.filter((text) => text.includes('Content Security Policy')), [], 'a video can be watched at its address');
    await viewer.close();
    await page.click('button:has-text("Delete film.mp4")');
    await page.click('#confirm-yes');
    await page.locator('text=The file is deleted.').waitFor();
    assert.equal(await page.locator('.media-grid > li').count(), 2);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
