/** Mails that warn of endpoints that fail: once for each stage, to the account's person, tried again when mail itself fails. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { createMailer, type Mailer } from '../../src/lib/mailer.js';
import { startReceiver } from '../support/receiver.js';
import { startSmtpReceiver, type SmtpReceiver } from '../support/smtp-receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig, type Rig } from './rig.js';

const HOUR = 3_600_000;
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(): Promise<{ rig: Rig; smtp: SmtpReceiver; id: string; failOnce(): Promise<void> }> {
  const smtp = await startSmtpReceiver();
  closers.push(() => smtp.stop());
  const mailer: Mailer = createMailer(smtp.url, 'Signpost <signpost@example.com>');
  closers.push(async () => mailer.stop());
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  receiver.answerWith({ status: 500 });
  const rig = await startRig({ mailer });
  closers.push(() => rig.stop());
  const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: 'Newsroom', url: `${receiver.url}/hook`, style: 'signpost', events: ['*'] });
  const failOnce = async (): Promise<void> => {
    const event = { ...postEvent(rig.actor), at: rig.now() };
    await rig.webhooks.record([event]);
    // An endpoint that fails is parked now and then; time passes.
    await waitUntil('a failure', async () => {
      if ((await rig.all()).some(({ eventId, attemptCount }) => eventId === event.id && attemptCount > 0)) return true;
      rig.advance(60_000);
      await rig.sweep();
      return false;
    });
    await waitUntil('it to be noted', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).failingSince !== null);
  };
  await failOnce();
  return { rig, smtp, id: endpoint.id, failOnce };
}

const subjects = (smtp: SmtpReceiver) => smtp.mails.map(({ raw }) => /^Subject: (.*)$/m.exec(raw)?.[1] ?? '');

describe('mails about an endpoint', () => {
  it('warn after one day and after three of nothing but failure, tell when it is turned off, and say each thing once', async () => {
    const { rig, smtp, id, failOnce } = await setUp();
    await rig.another();
    rig.advance(23 * HOUR);
    await rig.sweep();
    assert.equal(smtp.mails.length, 0);
    rig.advance(2 * HOUR);
    await rig.sweep();
    await rig.sweep();
    assert.equal(smtp.mails.length, 1);
    assert.match(subjects(smtp)[0]!, /have failed for a day/);
    const [mail] = smtp.mails;
    assert.deepEqual([mail!.from, mail!.to], ['signpost@example.com', ['person@example.com']]);
    // Long lines travel folded.
    const text = mail!.raw.replaceAll('=\n', '');
    for (const part of ['Newsroom', 'Last answer: ', `/webhooks/${id}`]) assert.ok(text.includes(part), text);
    await failOnce();
    rig.advance(48 * HOUR);
    await rig.sweep();
    await failOnce();
    assert.match(subjects(smtp)[1]!, /have failed for 3 days/);
    rig.advance(49 * HOUR);
    await failOnce();
    await rig.sweep();
    await waitUntil('the last mail', async () => {
      await rig.sweep();
      return smtp.mails.length === 3;
    });
    assert.match(subjects(smtp)[2]!, /were turned off/);
    assert.equal((await rig.webhooks.endpoints.get(rig.actor, id)).state, 'disabled');
    await rig.sweep();
    assert.equal(smtp.mails.length, 3);
  });

  it('are tried again later when the mail server refuses, and given up after a day', async () => {
    const { rig, smtp } = await setUp();
    smtp.refuseWith(451);
    rig.advance(25 * HOUR);
    await rig.sweep();
    assert.equal(smtp.mails.length, 0);
    await rig.sweep();
    smtp.refuseWith(null);
    await rig.sweep();
    assert.equal(smtp.mails.length, 0, 'not before its time');
    rig.advance(2 * 60_000);
    await rig.sweep();
    assert.equal(smtp.mails.length, 1);
    assert.equal(await rig.collection('webhook_notices').countDocuments({ dueAt: { $exists: true } }), 0);
  });

  it('are not written down where there is no mail', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    receiver.answerWith({ status: 410 });
    const rig = await startRig();
    closers.push(() => rig.stop());
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'signpost', events: ['*'] });
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    await waitUntil('it to be turned off', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).state === 'disabled');
    await rig.sweep();
    assert.equal(await rig.collection('webhook_notices').countDocuments(), 0);
  });
});
