/** Billing switched on, off and to another provider, with what was there before. */
import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { httpSession, type HttpSession } from '../../src/cli/http-session.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { SECRET } from './billing-app.js';

const PASSWORD = 'correct horse battery';

it('lets nobody keep a simulated plan at a real provider, and lets held posts go when billing is off', async () => {
  const folder = await temporaryFolder();
  const databaseName = temporaryDatabaseName();
  const start = (env: Record<string, string>) => startProgram({ dataDir: folder.path, env: { MONGODB_URI: uriOfDatabase(databaseName), ...env } });
  const signIn = async (url: string): Promise<HttpSession> => {
    const session = httpSession(url);
    await session.post('/sign-in', { email: 'ada@example.com', password: PASSWORD }, { from: '/sign-in' });
    return session;
  };
  const planOf = async (session: HttpSession): Promise<string> => /id="plan-name">([^<]*)</.exec((await session.get('/billing')).text)?.[1] ?? '';

  let program = await start({ BILLING: 'simulated' });
  after(async () => {
    await program.end('SIGKILL');
    await dropDatabase(databaseName);
    await folder.remove();
  });
  const { session } = await signUp(program.url, { email: 'ada@example.com' });
  await connectChannel(session, 'bluesky', 'ada.bsky.social');
  const key = await createApiKey(session);
  const checkout = await session.post('/billing/checkout', { plan: 'flat' }, { from: '/billing/change/flat' });
  assert.match(checkout.url, /\/simulated-payments\/checkout\//, 'below Signpost\'s own address');
  const back = await session.post(checkout.url, {}, { csrf: null });
  assert.match(back.text, /Your plan is Flat now/);
  const at = new Date(Date.now() + 30 * 86_400_000).toISOString();
  const ids: string[] = [];
  for (let i = 0; i < 7; i++) ids.push(String((await apiClient(program.url, key).post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: at })).body['id']));
  await program.end('SIGTERM');

  program = await start({ BILLING: 'stripe', STRIPE_WEBHOOK_SECRETS: SECRET });
  const atStripe = await signIn(program.url);
  assert.equal(await planOf(atStripe), 'Free', 'nobody has paid Stripe');
  const statuses = async (): Promise<string[]> => Promise.all(ids.map(async (id) => String((await apiClient(program.url, key).get(`/api/post/${id}`)).body['status'])));
  await waitUntil('two posts to be held', async () => (await statuses()).filter((status) => status === 'paused').length === 2, { timeoutMs: 20_000 });
  await program.end('SIGTERM');

  program = await start({ BILLING: 'off' });
  await waitUntil('all to go on', async () => (await statuses()).every((status) => status === 'pending'), { timeoutMs: 20_000 });
  assert.equal((await (await signIn(program.url)).get('/billing')).status, 404);
  await program.end('SIGTERM');

  program = await start({ BILLING: 'simulated' });
  const again = await signIn(program.url);
  await waitUntil('the simulated plan, which was never cancelled', async () => (await planOf(again)) === 'Flat');
});
