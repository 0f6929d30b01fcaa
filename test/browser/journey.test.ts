/** The whole story in a browser, as a newcomer walks it: sign up, connect, write, see it published, see the webhook arrive, make a key. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { apiClient } from '../../src/cli/newcomer.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { consoleProblems, pageProblems } from '../support/page-check.js';
import { startApp, type TestApp } from '../support/start-app.js';

describe('the whole story in a browser', { skip: noBrowser() }, () => {
  let app: TestApp;
  let browser: Browser;
  let page: Page;
  let complaints: string[];

  before(async () => {
    app = await startApp();
    browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: 'Europe/Berlin', locale: 'en-GB' });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    complaints = consoleProblems(page);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  const isFine = async (): Promise<void> => assert.deepEqual(await pageProblems(page), []);
  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name });
  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const menu = (name: string) => page.getByRole('navigation').getByRole('link', { name, exact: true }).first();

  it('leads a visitor to sign-up, and knows the browser\'s time zone', async () => {
    await page.goto(app.url);
    await heading('Sign up').waitFor();
    await isFine();
    assert.equal(await page.getByLabel('Time zone').inputValue(), 'Europe/Berlin');
    await page.getByLabel('Email').fill('ada@example.com');
    await page.getByLabel('Password').fill('short');
    await button('Create account').click();
    await page.locator('.invalid-feedback').first().waitFor();
    assert.equal(await page.getByLabel('Email').inputValue(), 'ada@example.com', 'what was typed is kept');
    await isFine();
    await page.getByLabel('Password').fill('correct horse battery');
    await button('Create account').click();
    await page.getByRole('heading', { name: 'Get started' }).waitFor();
    await isFine();
  });

  it('says on empty pages what to do next', async () => {
    for (const [path, text] of [['/posts', /no posts/i], ['/posts/new', 'Connect a channel first'], ['/webhooks', /No endpoints yet/], ['/inbox', /Nothing has arrived yet/], ['/api-keys', 'No API keys yet'], ['/settings', /time zone/i]] as const) {
      await page.goto(app.url + path);
      await page.getByText(text).first().waitFor();
      await isFine();
    }
  });

  it('connects a simulated channel through its consent page', async () => {
    await page.goto(app.url);
    await page.getByRole('link', { name: 'Connect a channel' }).first().click();
    await heading('Channels').waitFor();
    await isFine();
    await button('Connect Bluesky').click();
    await heading(/Allow/).waitFor();
    assert.equal(new URL(page.url()).origin, app.simulatorUrl);
    await isFine();
    await page.getByLabel('Your handle').fill('ada.bsky.social');
    await button('Allow').click();
    await page.getByText('Bluesky is connected as @ada.bsky.social').waitFor();
    assert.equal(new URL(page.url()).origin, app.url);
    await isFine();
  });

  it('makes an endpoint in the built-in inbox with one click', async () => {
    await menu('Inbox').click();
    await button('Send webhooks to my inbox').click();
    await page.getByText('Webhooks are sent here').waitFor();
    await isFine();
  });

  it('counts while one writes, and refuses a text that is too long beside its field', async () => {
    await page.goto(`${app.url}/posts/new`);
    await page.getByRole('checkbox', { name: /Bluesky/ }).check();
    await page.getByLabel('Text', { exact: true }).fill('x'.repeat(301));
    await page.locator('.counter-over', { hasText: '301 / 300' }).waitFor();
    await page.getByLabel('Now', { exact: true }).check();
    await button('Publish now').click();
    await page.locator('#post-problem').waitFor();
    assert.equal((await page.getByLabel('Text', { exact: true }).inputValue()).length, 301, 'what was typed is kept');
    await isFine();
  });

  let postText: string;
  it('schedules a post and shows it published at its time without a reload', async () => {
    postText = 'Written in the page, for in a moment.';
    await page.goto(`${app.url}/posts/new`);
    await page.getByRole('checkbox', { name: /Bluesky/ }).check();
    await page.getByLabel('Text', { exact: true }).fill(postText);
    await page.getByLabel('At a time', { exact: true }).check();
    await page.locator('.counter', { hasText: `${postText.length} / 300` }).waitFor();
    await isFine();
    // The page's check takes some seconds, so the time is chosen last.
    const at = await page.evaluate<string>(`new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'Europe/Berlin' }).format(Date.now() + 6000).replace(' ', 'T')`);
    await page.getByLabel('Date and time', { exact: true }).fill(at);
    assert.match(await page.locator('#schedule-zone').innerText(), /Europe\/Berlin/);
    await button('Schedule').click();
    await page.locator('#post-status', { hasText: 'Scheduled' }).waitFor();
    await page.evaluate('window.notReloaded = true');
    await page.locator('#post-status', { hasText: 'Published' }).waitFor();
    assert.equal(await page.evaluate('window.notReloaded'), true);
    await isFine();
    const link = await page.getByRole('link', { name: /Open on Bluesky/ }).getAttribute('href');
    assert.match(await (await fetch(link ?? '')).text(), /Written in the page, for in a moment\./);
  });

  it('shows the webhook in the inbox, with its signature verified', async () => {
    await menu('Inbox').click();
    await page.locator('#inbox-messages').getByText('Verified', { exact: true }).waitFor();
    await page.locator('#inbox-messages').getByText(/"action":"scheduled"/).waitFor();
    await isFine();
    await page.locator('#inbox-messages h3 a').first().click();
    await page.getByText('webhook-signature').first().waitFor();
    await isFine();
    await menu('Webhooks').click();
    await page.getByRole('link', { name: 'Delivery log' }).click();
    await page.locator('tbody a').first().click();
    await page.locator('#delivery-status', { hasText: 'Delivered' }).waitFor();
    await isFine();
  });

  it('makes an API key that works, shown this once', async () => {
    await menu('API keys').click();
    await page.getByLabel('Name', { exact: true }).fill('Newsroom');
    await button('Create key').click();
    const key = await page.locator('#new-key').innerText();
    await isFine();
    const { status, body } = await apiClient(app.url, key).get('/api/user');
    assert.equal(status, 200);
    assert.deepEqual(body['activeSocialAccounts'], ['bluesky']);
    await page.goto(`${app.url}/api-keys`);
    await page.getByText('Newsroom').first().waitFor();
    assert.equal(await page.locator('#new-key').count(), 0);
    await isFine();
  });

  it('is done with the checklist, lists the post, and signs out', async () => {
    await page.goto(app.url);
    assert.equal(await page.getByRole('heading', { name: 'Get started' }).count(), 0);
    await isFine();
    await menu('Posts').click();
    await page.getByText(postText).first().waitFor();
    await isFine();
    await page.goto(`${app.url}/nowhere`);
    await isFine();
    await button('Sign out').first().click();
    await heading('Sign in').waitFor();
    await isFine();
  });

  it('left nothing to complain about in the browser\'s console', () => {
    // The page that isn't there was asked for on purpose.
    assert.deepEqual(complaints.filter((text) => !text.includes('/nowhere') && !/status of 4(04|22)/.test(text)), []);
  });
});
