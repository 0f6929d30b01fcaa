/** Signatures: the published vector, secrets of every kind, and what receivers' libraries make of them. */
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as Svix } from 'svix';
import { newSecret, secretProblem, signatureHeaders, standardForm, standardSignature } from '../../src/webhooks/signing.js';
import { verifyAyrshare, verifyStandard, verifyTimed } from '../../src/webhooks/verify.js';

const body = Buffer.from(JSON.stringify({ text: 'größer 🎉', n: 1 }));
const now = () => Math.floor(Date.now() / 1_000);
const sign = (secrets: string[], at = now(), timedHeader: string | null = null) => signatureHeaders({ body, id: 'evt_1', timestamp: at, secrets, deliveryId: 'dlv_1', attempt: 3, timedHeader });

describe('signing', () => {
  it("gives the signature of Standard Webhooks' published example", () => {
    const signature = standardSignature('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, Buffer.from('{"test": 2432232314}'));
    assert.equal(signature, 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('verifies with the libraries of Standard Webhooks and of Svix for secrets of every length and for free text in its standard form', () => {
    const secrets = [newSecret(), ...[24, 32, 48, 64].map((bytes) => `whsec_${randomBytes(bytes).toString('base64')}`), 'my own words', 'ключ'];
    for (const secret of secrets) {
      assert.equal(secretProblem(secret), null, secret);
      assert.doesNotThrow(() => new Webhook(standardForm(secret)).verify(body.toString(), sign([secret])), secret);
      assert.doesNotThrow(() => new Svix(standardForm(secret)).verify(body.toString(), sign([secret])), secret);
    }
    assert.match(newSecret(), /^whsec_[A-Za-z0-9+/]{64}$/);
  });

  it('verifies with either secret while a rotation overlaps, and with no other', () => {
    const [current, old, wrong] = [newSecret(), newSecret(), newSecret()];
    const headers = sign([current, old]);
    assert.doesNotThrow(() => new Webhook(current).verify(body.toString(), headers));
    assert.doesNotThrow(() => new Webhook(old).verify(body.toString(), headers));
    assert.throws(() => new Webhook(wrong).verify(body.toString(), headers));
    assert.equal(headers['x-authorization-content-sha256'], createHmac('sha256', current).update(body).digest('hex'));
    assert.match(headers['x-authorization-content-sha256-v2']!, /^v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/);
    assert.equal(headers['x-ayrshare-delivery-attempt'], '3');
  });

  it("carries a signature in Stripe's style on request, which Stripe's own library verifies with the new and the old secret", () => {
    const [current, old, wrong] = [newSecret(), 'my own words', newSecret()];
    const stripe = new Stripe('sk_test_unused');
    const header = sign([current, old], now(), 'Signpost-Signature')['signpost-signature']!;
    assert.match(header, /^t=\d{10},v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/);
    for (const secret of [current, old]) assert.deepEqual(stripe.webhooks.constructEvent(body, header, secret), JSON.parse(body.toString()));
    assert.throws(() => stripe.webhooks.constructEvent(body, header, wrong), /signature/i);
    assert.throws(() => stripe.webhooks.constructEvent(Buffer.concat([body, Buffer.from(' ')]), header, current), /signature/i);
    assert.throws(() => stripe.webhooks.constructEvent(body, sign([current], now() - 400, 'Signpost-Signature')['signpost-signature']!, current), /tolerance/i);
    assert.equal('signpost-signature' in sign([current]), false);
    assert.equal(verifyTimed({ 'any-name': header }, body, [wrong, old]), 'verified');
    assert.equal(verifyTimed({ 'any-name': header }, body, [wrong]), 'not verified');
    assert.equal(verifyTimed({ 'any-name': 't=1' }, body, [old]), null);
  });

  it('refuses secrets that a receiver could not use', () => {
    for (const secret of ['', 'x'.repeat(257), 'a\nb', 'whsec_', 'whsec_!!!', 'whsec_c2hvcnQ=', `whsec_${randomBytes(65).toString('base64')}`, `whsec_${randomBytes(32).toString('base64url').replace(/^./, '-')}`]) {
      assert.equal(typeof secretProblem(secret), 'string', secret);
    }
  });

  it('is checked as a receiver would: body, id, time and secret all count', () => {
    const secret = newSecret();
    const headers = sign([secret]);
    assert.equal(verifyStandard(headers, body, ['other', secret]), 'verified');
    assert.equal(verifyAyrshare(headers, body, ['other', secret]), 'verified');
    const changed = Buffer.concat([body, Buffer.from(' ')]);
    assert.equal(verifyStandard(headers, changed, [secret]), 'not verified');
    assert.equal(verifyAyrshare(headers, changed, [secret]), 'not verified');
    assert.equal(verifyStandard({ ...headers, 'webhook-id': 'evt_2' }, body, [secret]), 'not verified');
    assert.equal(verifyStandard({ ...headers, 'webhook-timestamp': '1' }, body, [secret]), 'not verified');
    assert.equal(verifyStandard({}, body, [secret]), null);
    assert.equal(verifyAyrshare({}, body, [secret]), null);
  });
});
