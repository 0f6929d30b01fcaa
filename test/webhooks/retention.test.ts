/** How long events and deliveries are kept: a setting, also for a database that was made with another. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { webhookIndexesFor } from '../../src/compose-webhooks.js';
import { readConfig } from '../../src/config.js';
import { ensureIndexes } from '../../src/db/database.js';
import { temporaryDatabase } from '../support/temporary-database.js';

describe('the retention of events and deliveries', () => {
  it('is 30 days, or what the operator says, and can be changed later', async () => {
    const { db } = await temporaryDatabase();
    const days = async () => {
      const found = await Promise.all(['webhook_events', 'webhook_deliveries'].map(async (name) => (await db.collection(name).indexes()).find((index) => index.name === 'retention')?.['expireAfterSeconds'] as number));
      return found.map((seconds) => seconds / 86_400);
    };
    await ensureIndexes(db, webhookIndexesFor(readConfig({}).webhookRetentionDays));
    assert.deepEqual(await days(), [30, 30]);
    await ensureIndexes(db, webhookIndexesFor(readConfig({ WEBHOOK_RETENTION_DAYS: '90' }).webhookRetentionDays));
    assert.deepEqual(await days(), [90, 90]);
    await ensureIndexes(db, webhookIndexesFor(90));
    assert.deepEqual(await days(), [90, 90]);
    for (const wrong of ['0', '3', '366', 'x', '7.5']) assert.throws(() => readConfig({ WEBHOOK_RETENTION_DAYS: wrong }), /WEBHOOK_RETENTION_DAYS/, wrong);
  });
});
