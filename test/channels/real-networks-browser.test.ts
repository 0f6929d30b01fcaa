/** Connecting one's own accounts in a browser: under the real content security policy, at 320 px, in both themes; another simulator stands in for the real networks. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { simulatedUrls } from '../../src/platforms/network-urls.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { ioFor, openSimulator, valuesGiven, type TestSimulator } from '../platforms/simulated.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { consoleProblems, pageProblems } from '../support/page-check.js';
import { startApp, type TestApp } from '../support/start-app.js';

describe('connecting own accounts in a browser', { skip: noBrowser() }, () => {
  let real: TestSimulator;
  let app: TestApp;
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  before(async () => {
    real = await openSimulator();
    app = await startApp({
      env: { LINKEDIN_CLIENT_ID: 'my-app', LINKEDIN_CLIENT_SECRET: 'my-secret' },
      networkUrls: (platform) => simulatedUrls(platform.id, { callUrl: real.simulator.url, browserUrl: real.simulator.publicUrl }),
    });
    browser = await launchBrowser();
    page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB' })).newPage();
    page.setDefaultTimeout(15_000);
    complaints = consoleProblems(page);
    await page.goto(`${app.url}/sign-up`);
    await page.getByLabel('Email').fill('ada@example.com');
    await page.getByLabel('Password').fill('correct horse battery');
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('heading', { name: 'Get started' }).waitFor();
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
    await real?.close();
  });
  const isFine = async (): Promise<void> => assert.deepEqual(await pageProblems(page), []);

  it('leads to the network\'s consent page and back, with the operator\'s app', async () => {
    await page.goto(`${app.url}/channels`);
    await page.getByRole('heading', { name: 'Connect your own accounts' }).waitFor();
    await isFine();
    await page.getByRole('button', { name: 'Connect your LinkedIn account' }).click();
    await page.getByRole('heading', { name: /Allow/ }).waitFor();
    assert.equal(new URL(page.url()).origin, real.simulator.publicUrl);
    await page.getByText('my-app').first().waitFor();
    await page.getByLabel('Your handle').fill('ada');
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByText('LinkedIn is connected as @ada').waitFor();
    await isFine();
  });

  it('asks for what the network gave, beside each field what it is and what is wrong with it', async () => {
    await page.getByRole('button', { name: 'Connect your Bluesky account' }).click();
    await page.getByRole('heading', { level: 1, name: 'Connect Bluesky' }).waitFor();
    await isFine();
    await page.getByLabel('Handle').fill('ada.bsky.social');
    await page.getByLabel('App password').fill('the main password');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByText('This is not an app password').first().waitFor();
    assert.equal(await page.getByLabel('Handle').inputValue(), 'ada.bsky.social', 'what was typed is kept');
    assert.equal(await page.getByLabel('App password').inputValue(), '', 'but no secret');
    assert.equal(await page.getByLabel('App password').getAttribute('aria-invalid'), 'true');
    await isFine();
    const bluesky = findPlatform('bluesky')!;
    const values = await valuesGiven(bluesky, ioFor(bluesky, real), 'ada.bsky.social');
    await page.getByLabel('Handle').fill('ada.bsky.social');
    await page.getByLabel('App password').fill(values['appPassword']!);
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByText('Bluesky is connected as @ada.bsky.social').waitFor();
    await isFine();
  });

  it('made the browser complain of nothing', () => {
    // A refused form is an answer of its own; browsers note its status.
    assert.deepEqual(complaints.filter((complaint) => !complaint.includes('422')), []);
  });
});
