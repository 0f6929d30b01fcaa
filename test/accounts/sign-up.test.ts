import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PASSWORD, signUp, startAccounts, type AccountsApp } from './accounts-app.js';

const pathOf = (page: { url: string }): string => new URL(page.url).pathname;

async function administrators(app: AccountsApp): Promise<number> {
  return app.db.collection('users').countDocuments({ isAdministrator: true });
}

test('a newcomer lands on sign-up, signs up and sees what to do next', async () => {
  const app = await startAccounts();
  const browser = app.browser();
  const first = await browser.get('/');
  assert.equal(pathOf(first), '/sign-up');
  assert.match(first.text, /becomes the administrator/);
  const home = await browser.post('/sign-up', { email: 'ann@example.com', password: PASSWORD, timeZone: 'Europe/Berlin' });
  assert.equal(pathOf(home), '/');
  assert.match(home.text, /Connect a channel/);
  assert.match(home.text, /Europe\/Berlin/);
  assert.equal(await administrators(app), 1);
});

test('the first of two sign-ups at the same moment is the administrator, never both', async () => {
  const app = await startAccounts();
  const all = await Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => signUp(app, `${name}@example.com`)));
  assert.deepEqual(all.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled']);
  assert.equal(await administrators(app), 1);
});

test('beyond loopback sign-up is closed after the first account, even for two at once', async () => {
  const app = await startAccounts({ loopbackOnly: false });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => signUp(app, `${name}@example.com`)));
  assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(await app.db.collection('users').countDocuments(), 1);
  const late = app.browser();
  const page = await late.get('/sign-up');
  assert.match(page.text, /Sign-up is closed/);
  assert.doesNotMatch(page.text, /name="password"/);
  const refused = await late.post('/sign-up', { email: 'z@example.com', password: PASSWORD }, { from: '/sign-in' });
  assert.equal(refused.status, 403);
  assert.match(refused.text, /Sign-up is closed/);
  assert.equal(await app.db.collection('users').countDocuments(), 1);
});

test('SIGNUP=open lets others sign up beyond loopback, SIGNUP=closed stops them on loopback too', async () => {
  const open = await startAccounts({ loopbackOnly: false, signup: 'open' });
  await signUp(open, 'a@example.com');
  await signUp(open, 'b@example.com');
  const closed = await startAccounts({ loopbackOnly: true, signup: 'closed' });
  await signUp(closed, 'a@example.com');
  await assert.rejects(signUp(closed, 'b@example.com'), /403/);
});

test('an email has one account, however it is written', async () => {
  const app = await startAccounts();
  await signUp(app, 'Ann@Example.com');
  const browser = app.browser();
  const page = await browser.post('/sign-up', { email: ' aNN@example.COM ', password: PASSWORD }, { from: '/sign-up' });
  assert.equal(page.status, 409);
  assert.match(page.text, /There is an account with this email already/);
  assert.equal(await app.db.collection('users').countDocuments(), 1);
  const together = await Promise.allSettled([1, 2, 3].map(() => signUp(app, 'bob@example.com')));
  assert.equal(together.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('bad input is named beside its field and nothing is stored', async () => {
  const app = await startAccounts();
  const browser = app.browser();
  const cases: [Record<string, string | string[]>, RegExp][] = [
    [{ email: '', password: PASSWORD }, /Enter your email address/],
    [{ email: 'ann', password: PASSWORD }, /not an email address/],
    [{ email: `${'a'.repeat(250)}@example.com`, password: PASSWORD }, /at most 254 characters/],
    [{ email: 'ann@example.com', password: 'short' }, /Use at least 10 characters/],
    [{ email: 'ann@example.com', password: 'x'.repeat(201) }, /Use at most 200 characters/],
    [{ email: ['a@example.com', 'b@example.com'], password: PASSWORD }, /Enter your email address/],
    [{ 'email[$gt]': '', password: PASSWORD }, /Enter your email address/],
  ];
  for (const [fields, problem] of cases) {
    const page = await browser.post('/sign-up', fields, { from: '/sign-up' });
    assert.equal(page.status, 422);
    assert.match(page.text, problem);
    assert.match(page.text, /is-invalid/);
  }
  assert.equal(await app.db.collection('users').countDocuments(), 0);
  assert.equal(await app.db.collection('accounts').countDocuments(), 0);
});

test('a time zone that is not one counts as none', async () => {
  const app = await startAccounts();
  await signUp(app, 'ann@example.com', { timeZone: 'Mars/Olympus' });
  assert.equal((await app.db.collection('users').findOne({}))?.['timeZone'], 'UTC');
});

test('a sign-up that died half-way leaves an account that works after sign-in', async () => {
  const app = await startAccounts();
  await signUp(app, 'ann@example.com');
  await app.db.collection('accounts').deleteMany({});
  await app.db.collection('profiles').deleteMany({});
  const browser = app.browser();
  const home = await browser.post('/sign-in', { email: 'ann@example.com', password: PASSWORD }, { from: '/sign-in' });
  assert.equal(pathOf(home), '/');
  assert.equal(await app.db.collection('accounts').countDocuments(), 1);
  assert.equal(await app.db.collection('profiles').countDocuments({ isPrimary: true }), 1);
});

test('a claim to be the first whose owner never came to be is taken over after a while', async () => {
  const app = await startAccounts({ loopbackOnly: false });
  await app.db.collection<{ _id: string }>('instance').insertOne({ _id: 'first-account', userId: 'usr_died', claimedAt: new Date() } as { _id: string });
  await assert.rejects(signUp(app, 'early@example.com'), /403/);
  app.advance(60_000);
  await signUp(app, 'ann@example.com');
  assert.equal(await administrators(app), 1);
  assert.equal(await app.db.collection('users').countDocuments(), 1);
});

test('passwords are stored as argon2id hashes and never logged', async () => {
  const app = await startAccounts();
  await signUp(app, 'ann@example.com');
  const user = await app.db.collection('users').findOne({});
  assert.match(String(user?.['passwordHash']), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.ok(!app.logText().includes(PASSWORD));
});

test('beyond loopback one network can not make accounts without end', async () => {
  const app = await startAccounts({ loopbackOnly: false, signup: 'open' });
  for (let i = 0; i < 20; i++) await signUp(app, `user${i}@example.com`);
  const browser = app.browser();
  const page = await browser.post('/sign-up', { email: 'more@example.com', password: PASSWORD }, { from: '/sign-up' });
  assert.equal(page.status, 429);
  assert.match(page.text, /Too many sign-ups from your network\. Try again in 15 minutes\./);
  assert.match(page.text, /value="more@example\.com"/);
});

test('the operator may make accounts where sign-up is closed', async () => {
  const app = await startAccounts({ loopbackOnly: false, signup: 'closed' });
  const first = await app.accounts.signUp({ email: 'op@example.com', password: PASSWORD, timeZone: 'UTC' });
  const second = await app.accounts.signUp({ email: 'other@example.com', password: PASSWORD, timeZone: 'UTC' });
  assert.deepEqual([first.isAdministrator, second.isAdministrator], [true, false]);
});
