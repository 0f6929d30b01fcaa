/** The operator's plans: read from a file, refused with every problem of it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { defaultPlans } from '../../src/billing/plan.js';
import { readPlans } from '../../src/billing/plan-schema.js';
import { loadPlans } from '../../src/billing/plan-file.js';
import { runProgram, temporaryFolder } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';

describe('plans', () => {
  it('are Free with 5 posts a month and Flat without limits, when there is no file', () => {
    assert.equal(loadPlans(null, '/nowhere/plans.json'), defaultPlans);
    assert.deepEqual(defaultPlans.plans.map(({ key, limits }) => [key, limits.postsPerMonth]), [['free', 5], ['flat', null]]);
  });

  it('come from a file, with what is missing filled in', () => {
    const book = readPlans(JSON.stringify({ plans: [{ key: 'free', name: 'Free', limits: { postsPerMonth: 20 } }] }));
    assert.ok(!Array.isArray(book));
    assert.equal(book.graceDays, 7);
    assert.equal(book.plans[0]?.limits.postsPerMonth, 20);
    assert.equal(book.plans[0]?.limits.endpoints, null);
  });

  it('are refused with every problem in them', () => {
    const problems = readPlans(JSON.stringify({
      graceDays: -1, plans: [{ key: 'Free!', name: '', limits: { postsPerMonth: 1.5, postPerDay: 1, mediaBytes: -5, profiles: 0 } }, { key: 'a', name: 'A', price: { amount: 5, currency: 'euro' } }],
    }));
    assert.ok(Array.isArray(problems));
    for (const field of ['graceDays', 'plans[0].key', 'plans[0].name', 'plans[0].limits.postsPerMonth', 'plans[0].limits.postPerDay', 'plans[0].limits.mediaBytes', 'plans[0].limits.profiles', 'plans[1].price.currency']) {
      assert.ok(problems.some((problem) => problem.startsWith(`${field}:`)), `${field} in ${problems.join('; ')}`);
    }
    const twice = readPlans(JSON.stringify({ plans: [{ key: 'a', name: 'A', price: { amount: 1, currency: 'eur' }, prices: ['p'] }, { key: 'a', name: 'B', prices: ['p'] }] }));
    assert.ok(Array.isArray(twice) && twice.length === 3, JSON.stringify(twice));
    assert.ok(Array.isArray(readPlans('{')));
  });

  it('are refused with everything that is wrong, in words, however much it is', () => {
    const problemsOf = (value: unknown): string => {
      const read = readPlans(typeof value === 'string' ? value : JSON.stringify(value));
      return Array.isArray(read) ? read.join('\n') : 'none';
    };
    for (const value of [[], 'null', { plans: ['free'] }, { plans: [{ key: 'free', name: 'Free', limits: [], price: 5, prices: 'p' }] }]) assert.doesNotMatch(problemsOf(value), /Invalid input/);
    assert.match(problemsOf([]), /^the file: must be an object such as \{"plans"/);
    assert.match(problemsOf({ plans: [{ key: 'free', name: 'Free', colour: 1, size: 2 }] }), /plans\[0\]\.colour: is not known\nplans\[0\]\.size: is not known/);
    const several = problemsOf({ graceDays: 'x', plans: [{ key: 'a', name: 'A', price: { amount: 5, currency: 'euro' }, prices: ['p'] }, { key: 'a', name: '', prices: ['p'] }, { key: 'c', name: 'C', price: { amount: 5, currency: 'eur' } }] });
    for (const problem of [/graceDays: must be/, /plans\[0\]\.price: must be null/, /plans\[0\]\.price\.currency/, /plans\[1\]\.key: a stands in plan 1 too/, /plans\[1\]\.prices: p stands in plan 1 too/, /plans\[1\]\.name/, /plans\[2\]\.prices: must name/]) assert.match(several, problem);
    assert.match(problemsOf({ plans: [{ key: 'free', name: 'Free', limits: { postsPerMonth: 1_000_000 } }] }), /must be at most 100000; null is no limit/);
    assert.equal(problemsOf(`\uFEFF${JSON.stringify({ plans: [{ key: 'free', name: 'Free' }] })}`), 'none', 'as some editors save it');
  });

  it('stop the start in plain words when they are wrong', async () => {
    const folder = await temporaryFolder();
    const file = path.join(folder.path, 'my-plans.json');
    writeFileSync(file, '{"plans":[]}');
    const database = temporaryDatabaseName();
    const { code, output } = await runProgram({ dataDir: folder.path, env: { BILLING: 'simulated', PLANS_FILE: file, MONGODB_URI: uriOfDatabase(database) } });
    assert.equal(code, 1);
    assert.match(output, /can't start with the plans in .*my-plans\.json/);
    assert.doesNotMatch(output, /\n\s+at /, 'no stack');
    const missing = await runProgram({ dataDir: folder.path, env: { BILLING: 'stripe' } });
    assert.match(missing.output, /STRIPE_WEBHOOK_SECRETS: is needed/);
    await folder.remove();
    await dropDatabase(database);
  });
});
