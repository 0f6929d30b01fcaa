/** From Free at its limit through the simulated checkout to a sixth post, and what becomes of the subscription, in a browser. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { consoleProblems, pageProblems } from '../support/page-check.js';
import { startApp, type TestApp } from '../support/start-app.js';

const TEXT = 'The sixth post of this month.';

describe('paying for a plan in a browser', { skip: noBrowser() }, () => {
  let app: TestApp;
  let browser: Browser;
  let page: Page;
  let api: ApiClient;
  let complaints: string[];

  before(async () => {
    app = await startApp({ env: { BILLING: 'simulated' } });
    const { session } = await signUp(app.url, { email: 'ada@example.com' });
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
    api = apiClient(app.url, await createApiKey(session));
    for (let i = 0; i < 5; i++) assert.equal((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 86_400_000).toISOString() })).status, 200);
    browser = await launchBrowser();
    page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
    page.setDefaultTimeout(15_000);
    complaints = consoleProblems(page);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  const isFine = async (): Promise<void> => assert.deepEqual(await pageProblems(page), []);
  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const planIs = (name: string) => page.locator('#plan-name', { hasText: name }).waitFor();
  const openPortal = async (): Promise<void> => {
    await button('Manage subscription').click();
    await page.getByRole('heading', { name: 'Simulated customer portal' }).waitFor();
  };
  const back = async (): Promise<void> => {
    await page.getByRole('link', { name: 'Back to Signpost' }).click();
    await page.getByRole('heading', { level: 1, name: 'Plan and billing' }).waitFor();
  };

  it('is told at the limit what is reached, with the text kept', async () => {
    await page.goto(`${app.url}/sign-in`);
    await page.getByLabel('Email').fill('ada@example.com');
    await page.getByLabel('Password').fill('correct horse battery');
    await button('Sign in').click();
    await page.waitForURL((url) => !url.pathname.includes('sign-in'));
    await page.goto(`${app.url}/posts/new`);
    await page.getByRole('checkbox', { name: /Bluesky/ }).check();
    await page.getByRole('textbox', { name: 'Text' }).fill(TEXT);
    await page.getByRole('radio', { name: 'Now' }).check();
    await button('Publish now').click();
    await page.getByText(/plan Free allows 5 posts a month/).waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Text' }).inputValue(), TEXT);
    await isFine();
  });

  it('sees its usage, and what the other plan changes before it is done', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Plan and billing' }).first().click();
    await planIs('Free');
    await page.locator('#used-posts', { hasText: '5 of 5' }).waitFor();
    await page.getByText('Payments are simulated').waitFor();
    await isFine();
    await page.getByRole('link', { name: 'Change to Flat' }).click();
    await page.getByRole('cell', { name: 'Unlimited' }).first().waitFor();
    await isFine();
  });

  it('pays at the simulated checkout and comes back to the new plan', async () => {
    await button('Go on to payment').click();
    await page.getByRole('heading', { name: 'Simulated checkout' }).waitFor();
    await isFine();
    await page.getByLabel('In any order').check();
    await page.getByLabel('Each of them twice').check();
    await button(/^Pay/).click();
    await page.getByText('Your plan is Flat now').waitFor();
    await planIs('Flat');
    await page.getByText('Next charge').waitFor();
    await page.getByText('Paid', { exact: true }).waitFor();
    await isFine();
  });

  it('sends the sixth post', async () => {
    await page.goto(`${app.url}/posts/new`);
    await page.getByRole('checkbox', { name: /Bluesky/ }).check();
    await page.getByRole('textbox', { name: 'Text' }).fill(TEXT);
    await page.getByRole('radio', { name: 'Now' }).check();
    await button('Publish now').click();
    await page.locator('#post-status', { hasText: 'Published' }).waitFor();
  });

  it('shows a failed payment, and its end', async () => {
    await page.goto(`${app.url}/billing`);
    await openPortal();
    await isFine();
    await button('Let a payment fail').click();
    await button('Pay the open invoice').waitFor();
    await back();
    await page.locator('#payment-problem', { hasText: 'The last payment failed.' }).waitFor();
    await planIs('Flat');
    await isFine();
    await openPortal();
    await button('Pay the open invoice').click();
    await button('Let a payment fail').waitFor();
    await back();
    await page.locator('#payment-problem').waitFor({ state: 'detached' });
  });

  it('renews when time passes, is cancelled at the end of the period, and is Free after that without a reload', async () => {
    await openPortal();
    await button('Pass these days').click();
    await page.getByText('customer.subscription.updated: answered 200').first().waitFor();
    await button('Cancel at the end of the period').click();
    await button('Keep the subscription').waitFor();
    const portal = page.url();
    await back();
    await page.getByText('It is cancelled and is not charged again.').waitFor();
    await planIs('Flat');
    await isFine();
    const other = await page.context().newPage();
    await other.goto(portal);
    await other.getByRole('button', { name: 'Cancel now' }).click();
    await planIs('Free');
    await isFine();
  });

  it('shows a trial that is about to end, a pause, a payment to confirm, what comes of not paying, and a refund, without a reload', async () => {
    await page.goto(`${app.url}/billing`);
    await page.getByRole('link', { name: 'Change to Flat' }).click();
    await button('Go on to payment').click();
    await page.getByLabel('Begin with a trial of 14 days').check();
    await button(/^Pay/).click();
    await page.getByText('Trial until').waitFor();
    await openPortal();
    const portal = page.url();
    await back();
    const other = await page.context().newPage();
    await other.goto(portal);
    const pass = async (days: string): Promise<void> => {
      await other.getByLabel('Days').fill(days);
      await other.getByRole('button', { name: 'Pass these days' }).click();
    };
    const act = (name: string) => other.getByRole('button', { name }).click();
    await pass('12');
    await page.locator('#trial-ends').waitFor();
    await isFine();
    await pass('5');
    await page.locator('#trial-ends').waitFor({ state: 'detached' });
    await act('Pause');
    await page.getByText('Your subscription rests.').waitFor();
    await act('Resume');
    await page.getByText('Your subscription rests.').waitFor({ state: 'detached' });
    await act('Let the bank ask to confirm a payment');
    await page.locator('#payment-problem', { hasText: 'Your bank wants you to confirm' }).waitFor();
    await pass('8');
    await page.locator('#payment-problem', { hasText: 'was not paid in time' }).waitFor();
    await planIs('Free');
    await isFine();
    await act('Pay the open invoice');
    await planIs('Flat');
    await act('Refund the last payment');
    await page.getByText('Refunded', { exact: true }).waitFor();
    await other.close();
  });

  it('makes a profile and works in it', async () => {
    await page.goto(`${app.url}/profiles`);
    await page.getByLabel('Title').fill('A client');
    await button('Create profile').click();
    await page.locator('#new-key').waitFor();
    await isFine();
    await button('Work here in A client').click();
    await page.locator('#current-profile', { hasText: 'A client' }).waitFor();
    await page.goto(`${app.url}/profiles`);
    await button('Work here in Primary Profile').click();
    await page.locator('#current-profile').waitFor({ state: 'detached' });
  });

  it('shows the administrator events and accounts', async () => {
    for (const path of ['/billing/accounts', '/billing/events']) {
      await page.goto(app.url + path);
      await isFine();
    }
    await page.getByRole('link', { name: 'customer.subscription.deleted' }).first().click();
    await page.getByText('applied').first().waitFor();
    await isFine();
  });

  it('left nothing to complain about in the browser\'s console', () => {
    assert.deepEqual(complaints.filter((text) => !/status of 429/.test(text)), []);
  });
});
