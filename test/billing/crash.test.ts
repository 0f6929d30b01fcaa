/** What was answered with 200 is folded whatever happens to the process, and what was counted for nothing is forgotten. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, it } from 'node:test';
import { signUp } from '../../src/cli/newcomer.js';
import { httpSession } from '../../src/cli/http-session.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { documents, SECRET, sendEvent } from './billing-app.js';
import { stripeLife, type StripeEvent } from './stripe-life.js';

const LIVES = 12;

it('folds every event that it took before it was killed', async () => {
  const folder = await temporaryFolder();
  const databaseName = temporaryDatabaseName();
  const options = { dataDir: folder.path, env: { MONGODB_URI: uriOfDatabase(databaseName), BILLING: 'stripe', STRIPE_WEBHOOK_SECRETS: SECRET } };
  let program = await startProgram(options);
  after(async () => {
    await program.end('SIGKILL');
    await dropDatabase(databaseName);
    await folder.remove();
  });
  await signUp(program.url, { email: 'ada@example.com' });
  const [user] = await documents(databaseName, 'users');
  const accountId = String(user?.['accountId']);
  const start = Math.floor(Date.now() / 1000) - 100;
  const lives = Array.from({ length: LIVES }, (_, i) => stripeLife({ customer: `cus_${i}`, subscription: `sub_${i}`, accountId, start, shape: 'new' }).slice(0, 3)
    .map((event) => ({ ...event, data: JSON.parse(JSON.stringify(event.data).replaceAll('price_basic', 'price_signpost_flat')) as StripeEvent['data'] })));
  const taken: string[] = [];
  const sending = Promise.all(lives.flat().map(async (event) => {
    const answer = await sendEvent(program.url, event).catch(() => null);
    if (answer?.status === 200) taken.push(String(event['id']));
  }));
  await waitUntil('the first event to be taken', () => taken.length > 0, { everyMs: 1 });
  await program.end('SIGKILL');
  await sending;

  program = await startProgram(options);
  await waitUntil('every event that was taken to be applied', async () => {
    const events = await documents(databaseName, 'billing_events');
    return taken.every((id) => events.some((event) => event['_id'] === `stripe:${id}` && event['outcome'] === 'applied'));
  }, { timeoutMs: 25_000, everyMs: 200 });
  const session = httpSession(program.url);
  await session.post('/sign-in', { email: 'ada@example.com', password: 'correct horse battery' }, { from: '/sign-in' });
  // The provider sends again what was not answered.
  for (const event of lives.flat()) assert.equal((await sendEvent(program.url, event)).status, 200);
  await waitUntil('the plan', async () => /id="plan-name">Flat</.test((await session.get('/billing')).text));
});

it('the simulated provider tells after a kill what it had not told before', async () => {
  const folder = await temporaryFolder();
  const databaseName = temporaryDatabaseName();
  const options = { dataDir: folder.path, env: { MONGODB_URI: uriOfDatabase(databaseName), BILLING: 'simulated' } };
  let program = await startProgram(options);
  after(async () => {
    await program.end('SIGKILL');
    await dropDatabase(databaseName);
    await folder.remove();
  });
  const { session } = await signUp(program.url, { email: 'ada@example.com' });
  const checkout = await session.post('/billing/checkout', { plan: 'flat' }, { from: '/billing/change/flat' });
  await session.post(checkout.url, {}, { csrf: null });
  const told = async (): Promise<number> => (await documents(databaseName, 'billing_bodies')).length;
  await waitUntil('checkout, subscription and invoice to be told', async () => (await told()) === 3);
  const portal = await session.post('/billing/portal', {}, { from: '/billing' });
  // A year of renewals: an update and an invoice each month.
  const passing = session.post(portal.url, { do: 'pass-time', days: '370' }, { csrf: null }).catch(() => undefined);
  await waitUntil('the first of them to be told', async () => (await told()) > 3, { everyMs: 1 });
  await program.end('SIGKILL');
  await passing;
  program = await startProgram(options);
  await waitUntil('all of them to be told', async () => (await told()) === 3 + 24, { timeoutMs: 25_000, everyMs: 200 });

  await program.end('SIGKILL');
  writeFileSync(path.join(folder.path, 'billing-simulator.json'), '{"offsetS":');
  await assert.rejects(startProgram(options), /simulated payment provider remembers can't be read from \S+billing-simulator\.json: .*Put a copy of it back, or delete it/);
});
