/** What the pages' own scripts add in a browser: theme, confirmation, copying, one submit per form, a fresh token after signing in elsewhere. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { waitUntil } from '../support/wait-until.js';
import { PASSWORD, startAccounts } from './accounts-app.js';

const app = await startAccounts();

describe('the scripts of the pages', { skip: noBrowser() }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const complaints: string[] = [];

  before(async () => {
    browser = await launchBrowser();
    context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: 'Asia/Tokyo', permissions: ['clipboard-read', 'clipboard-write'] });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) complaints.push(message.text());
    });
    await page.goto(`${app.base}/sign-up`);
    await page.getByLabel('Email').fill('ann@example.com');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('heading', { name: 'Get started' }).waitFor();
  });
  after(async () => {
    await browser?.close();
  });

  const themeIs = (theme: string) => waitUntil(`the ${theme} theme`, async () => (await page.evaluate<string>('document.documentElement.dataset.bsTheme')) === theme);

  it('takes the time zone of the browser at sign-up', async () => {
    assert.equal((await app.db.collection('users').findOne({}))?.['timeZone'], 'Asia/Tokyo');
  });

  it('keeps the chosen theme from page to page, and follows the system until one is chosen', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await themeIs('dark');
    await page.getByLabel('Theme').selectOption('light');
    await themeIs('light');
    await page.goto(`${app.base}/settings`);
    await themeIs('light');
    assert.equal(await page.getByLabel('Theme').inputValue(), 'light');
    await page.getByLabel('Theme').selectOption('auto');
    await themeIs('dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await themeIs('light');
  });

  it('copies a new key, and makes no second one when the page is loaded again', async () => {
    await page.goto(`${app.base}/api-keys`);
    await page.getByLabel('Name').fill('Website');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = await page.locator('#new-key').textContent();
    await page.getByRole('button', { name: 'Copy' }).first().click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), key);
    await page.reload();
    assert.equal(await page.locator('#new-key').count(), 0);
    assert.equal(await app.db.collection('apiKeys').countDocuments({}), 1);
  });

  it('asks before a key is revoked, and does nothing when the answer is no', async () => {
    const working = () => app.db.collection('apiKeys').countDocuments({ revokedAt: null });
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Revoke' }).click();
    await dialog.getByText('Revoke the key “Website”?').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Revoke' }).click();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(await working(), 1);
    await page.getByRole('button', { name: 'Revoke' }).click();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('The key is revoked').waitFor();
    assert.equal(await working(), 0);
  });

  it('sends a form once however often it is clicked', async () => {
    await page.goto(`${app.base}/api-keys`);
    await page.getByLabel('Name').fill('Twice');
    await page.evaluate('{ const button = document.querySelector("form[action=\\"/api-keys\\"] button"); button.click(); button.click(); button.click(); }');
    await page.locator('#new-key').waitFor();
    assert.equal(await app.db.collection('apiKeys').countDocuments({ name: 'Twice' }), 1);
  });

  it('goes on after signing in again in another tab, with what was typed', async () => {
    await page.goto(`${app.base}/api-keys`);
    await page.getByLabel('Name').fill('Typed before');
    const old = await page.locator('form[action="/api-keys"] input[name=_csrf]').inputValue();
    await context.clearCookies();
    await page.evaluate('htmx.ajax("POST", "/settings", { source: document.body })');
    const notice = page.getByText('You are signed out, so nothing was saved.');
    await notice.waitFor();
    const [tab] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'sign in again in a new tab' }).click()]);
    await tab.getByLabel('Email').fill('ann@example.com');
    await tab.getByLabel('Password').fill(PASSWORD);
    await tab.getByRole('button', { name: 'Sign in' }).click();
    await tab.getByRole('heading', { name: 'API keys' }).waitFor();
    await tab.close();
    await page.bringToFront();
    await page.evaluate('window.dispatchEvent(new Event("focus"))');
    await waitUntil('the new token', async () => (await page.locator('form[action="/api-keys"] input[name=_csrf]').inputValue()) !== old);
    await notice.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Create key' }).click();
    await page.getByRole('heading', { name: 'Your new key: Typed before' }).waitFor();
  });

  it('breaks no rule of the content security policy and throws nothing', () => {
    assert.deepEqual(complaints, []);
  });
});
