/** Counting by month in the account's zone, giving back what never went out, and what a crash leaves behind. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { defaultPlans, unlimitedPlan, type Plan } from '../../src/billing/plan.js';
import { monthOf, nextMonth } from '../../src/billing/month.js';
import { createSettling, createUsageService, type LimitReached, type UsageService } from '../../src/billing/usage-service.js';
import { createUsageStore, usageIndexes } from '../../src/billing/usage-store.js';
import { ensureIndexes } from '../../src/db/database.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import { temporaryDatabase } from '../support/temporary-database.js';

const { db } = await temporaryDatabase();

describe('a month', () => {
  it('turns at midnight in the account\'s zone', () => {
    const moment = new Date('2026-10-31T22:59:59Z');
    assert.equal(monthOf(moment, 'UTC'), '2026-10');
    assert.equal(monthOf(moment, 'Europe/Berlin'), '2026-10');
    assert.equal(monthOf(new Date('2026-10-31T23:00:00Z'), 'Europe/Berlin'), '2026-11');
    assert.equal(monthOf(moment, 'Pacific/Auckland'), '2026-11');
    assert.equal(nextMonth(moment, 'Europe/Berlin').toISOString(), '2026-10-31T23:00:00.000Z');
    assert.equal(nextMonth(new Date('2026-12-31T12:00:00Z'), 'America/New_York').toISOString(), '2027-01-01T05:00:00.000Z');
  });

  it('is one of UTC where the zone is not known', () => assert.equal(monthOf(new Date('2026-10-31T23:30:00Z'), 'Mars/Olympus'), '2026-10'));
});

describe('usage', () => {
  let usage: UsageService;
  let plan: Plan = defaultPlans.plans[0]!;
  let now = new Date('2026-10-31T22:00:00Z');
  let stored = new Set<string>();
  let account = 0;
  const settle = createSettling({ store: createUsageStore(db), clock: { now: () => now }, notifier: createNotifier() });
  let zone = 'Europe/Berlin';
  const reachedLimits: LimitReached[] = [];

  before(async () => {
    await ensureIndexes(db, usageIndexes);
    usage = createUsageService({
      store: createUsageStore(db), clock: { now: () => now }, notifier: createNotifier(), log: createLogger('silent'), recordReached: async (reached) => void reachedLimits.push(reached), planOf: async () => plan, timeZoneOf: async () => zone,
      existingPosts: async (ids) => new Set(ids.filter((id) => stored.has(id))), billingUrl: () => 'https://signpost.example/billing',
    });
  });

  const newAccount = (): string => `acc_${account += 1}`;
  const count = (accountId: string, postId: string, more: { sequence?: number; isNew?: boolean } = {}): Promise<boolean> => usage.hasRoom({ accountId, postId, createdAt: now, sequence: 0, isNew: true, ...more });
  const fate = (accountId: string, postId: string, sequence: number, ...states: string[]) => settle([{ accountId, at: now, sequence, data: { postId, publications: states.map((state) => ({ state })) } }]);
  const used = async (accountId: string): Promise<number> => (await usage.usageOf(accountId)).used;

  it('begins anew when the month turns in the account\'s zone', async () => {
    const id = newAccount();
    for (let i = 0; i < 5; i++) assert.equal(await count(id, `p${i}`), true);
    assert.equal(await count(id, 'p5'), false);
    now = new Date('2026-10-31T23:00:01Z');
    assert.equal(await count(id, 'p6'), true);
    assert.equal(await used(id), 1);
  });

  it('gives nobody a second month for changing the zone, there and back', async () => {
    const id = newAccount();
    const before = now;
    now = new Date('2026-10-31T12:00:00Z');
    zone = 'UTC';
    for (let i = 0; i < 5; i++) assert.equal(await count(id, `oct${i}`), true);
    zone = 'Pacific/Auckland';
    for (let i = 0; i < 5; i++) assert.equal(await count(id, `nov${i}`), true, 'it is November there');
    assert.equal(await count(id, 'nov5'), false);
    zone = 'UTC';
    assert.equal(await count(id, 'oct5'), false, 'October is still used up');
    now = new Date('2026-11-01T00:00:00Z');
    assert.equal(await count(id, 'nov6'), false, 'and November was used ahead');
    zone = 'Europe/Berlin';
    now = before;
  });

  it('tells once that the month is used up, also when posts are given back and others come', async () => {
    const id = newAccount();
    const mine = (): LimitReached[] => reachedLimits.filter(({ accountId }) => accountId === id);
    for (let i = 0; i < 4; i++) await count(id, `p${i}`);
    await usage.sweep();
    assert.equal(mine().length, 0);
    await Promise.all([count(id, 'p4'), count(id, 'p5'), count(id, 'p6')]);
    await fate(id, 'p0', 5, 'cancelled');
    await count(id, 'p7');
    await usage.sweep();
    const ids = new Set(mine().map((reached) => reached.id));
    assert.equal(ids.size, 1);
    assert.equal(mine()[0]?.limit, 5);
  });

  it('gives back what failed, was missed or cancelled everywhere, however often that is told, and nothing else', async () => {
    const id = newAccount();
    for (const post of ['failed', 'partial', 'unsure', 'cancelled']) await count(id, post);
    await fate(id, 'failed', 5, 'failed', 'missed');
    await fate(id, 'failed', 5, 'failed', 'missed');
    await fate(id, 'partial', 5, 'failed', 'published');
    await fate(id, 'unsure', 5, 'failed', 'unconfirmed');
    await fate(id, 'cancelled', 2, 'cancelled');
    assert.equal(await used(id), 2);
  });

  it('counts a post again that is sent again, once, even when the old outcome is told late', async () => {
    const id = newAccount();
    await count(id, 'again');
    await fate(id, 'again', 5, 'failed');
    assert.equal(await count(id, 'again', { sequence: 5, isNew: false }), true);
    assert.equal(await count(id, 'again', { sequence: 5, isNew: false }), true);
    await fate(id, 'again', 5, 'failed');
    assert.equal(await used(id), 1);
    await fate(id, 'again', 9, 'failed');
    assert.equal(await used(id), 0);
  });

  it('counts without a limit too, so that a smaller plan knows', async () => {
    const id = newAccount();
    plan = unlimitedPlan;
    await Promise.all(Array.from({ length: 40 }, (_, i) => count(id, `free${i}`)));
    assert.equal(await used(id), 40);
    plan = defaultPlans.plans[0]!;
    assert.equal(await count(id, 'one more'), false);
  });

  it('forgets posts that were counted but never stored, because the process died in between', async () => {
    const id = newAccount();
    stored = new Set(['there']);
    await count(id, 'there');
    await count(id, 'lost');
    await usage.sweep();
    assert.equal(await used(id), 2, 'not at once: it may be on its way');
    now = new Date(now.getTime() + 6 * 60_000);
    await usage.sweep();
    assert.equal(await used(id), 1);
  });
});
