import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { MongoBackend } from '@agendajs/mongo-backend';
import { Agenda } from 'agenda';
import { MongoStore } from 'connect-mongo';
import { RateLimiterMongo } from 'rate-limiter-flexible';
import { connect, openDatabase } from './with-server.js';

test('Agenda runs jobs now and later, keeps unique jobs single and lists them', async () => {
  const db = await openDatabase();
  const agenda = new Agenda({ backend: new MongoBackend({ mongo: db }), processEvery: 50, defaultLockLifetime: 1000 });
  const ran: unknown[] = [];
  agenda.define('greet', (job: { attrs: { data: unknown } }) => {
    ran.push(job.attrs.data);
  });
  await agenda.start();
  await agenda.now('greet', { to: 'now' });
  await agenda.schedule(new Date(Date.now() + 100), 'greet', { to: 'later' });
  for (let i = 0; i < 2; i++) await agenda.create('greet', { to: 'once' }).unique({ 'data.to': 'once' }).schedule(new Date(Date.now() + 60_000)).save();
  while (ran.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(ran.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))), [{ to: 'later' }, { to: 'now' }]);
  const { jobs, total } = await agenda.queryJobs({ name: 'greet', search: 'gre' });
  assert.equal(total, 3);
  assert.equal(jobs.length, 3);
  assert.equal(await agenda.cancel({ name: 'greet' }), 3);
  await agenda.stop();
});

test('connect-mongo stores, touches, lists and destroys sessions', async () => {
  const db = await openDatabase();
  const client = await connect();
  const store = MongoStore.create({ client: client, dbName: db.databaseName, ttl: 60 });
  const session = { cookie: { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000) }, user: 'ada' };
  await promisify(store.set.bind(store) as (sid: string, session: unknown, done: (error: unknown) => void) => void)('sid1', session);
  const read = promisify(store.get.bind(store) as (sid: string, done: (error: unknown, session: unknown) => void) => void);
  assert.equal(((await read('sid1')) as { user: string }).user, 'ada');
  await promisify(store.touch.bind(store) as (sid: string, session: unknown, done: (error: unknown) => void) => void)('sid1', session);
  assert.equal(await promisify(store.length.bind(store) as (done: (error: unknown, n: number) => void) => void)(), 1);
  const indexes = await db.collection('sessions').indexes();
  assert.ok(indexes.some((index) => index.expireAfterSeconds === 0));
  await promisify(store.destroy.bind(store) as (sid: string, done: (error: unknown) => void) => void)('sid1');
  assert.equal(await read('sid1'), null);
});

test('rate-limiter-flexible counts, blocks and resets', async () => {
  const db = await openDatabase();
  const limiter = new RateLimiterMongo({ storeClient: await connect(), dbName: db.databaseName, tableName: 'limits', points: 3, duration: 30 });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => limiter.consume('login:ada')));
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 3);
  assert.equal((await limiter.get('login:ada'))?.consumedPoints, 5);
  assert.equal(await limiter.delete('login:ada'), true);
  assert.equal((await limiter.consume('login:ada')).remainingPoints, 2);
});
