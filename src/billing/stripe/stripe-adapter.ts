/** Stripe's incoming events: verified with the official library, read in the shapes of old and new API versions. */
import Stripe from 'stripe';
import { TOLERANCE_S, type BillingAdapter, type Verified } from '../provider.js';
import { readStripeEvent, type StripeProvider } from './stripe-events.js';
import { eventShape, thinEventShape } from './stripe-shapes.js';

/**
 * @param secrets the endpoint's signing secrets; several while one is being changed
 * @param provider whose customers and events these are
 */
export function createStripeAdapter({ secrets, provider = 'stripe' }: { secrets: readonly string[]; provider?: StripeProvider }): BillingAdapter {
  const { signature } = Stripe.webhooks;
  if (signature === null) throw new Error('the stripe package came without its signature check');

  function problemOf(raw: Buffer, header: string, now: Date): string | null {
    let problem = 'No signing secret is set.';
    for (const secret of secrets) {
      try {
        signature!.verifyHeader(raw, header, secret, TOLERANCE_S, undefined, now.getTime());
        return null;
      } catch (error) {
        const message = error instanceof Error ? error.message : '';
        problem = /timestamp outside/i.test(message) ? `The signature is older than ${TOLERANCE_S / 60} minutes.` : 'The signature does not match the body.';
        if (problem.includes('older')) return problem;
      }
    }
    return problem;
  }

  return {
    id: 'stripe',
    provider,
    name: 'Stripe',
    verify(raw, headers, now): Verified {
      const header = headers['stripe-signature'];
      if (header === undefined || header === '') return { outcome: 'refused', reason: 'The header Stripe-Signature is missing.' };
      if (raw.length === 0) return { outcome: 'refused', reason: 'The body is empty.' };
      const problem = problemOf(raw, header, now);
      return problem === null ? read(raw, provider) : { outcome: 'refused', reason: problem };
    },
    read: (raw) => read(raw, provider),
  };
}

function read(raw: Buffer, provider: StripeProvider): Verified {
  let body: unknown;
  try {
    body = JSON.parse(raw.toString('utf8'));
  } catch {
    return { outcome: 'unreadable', reason: 'The body is not JSON.' };
  }
  const thin = thinEventShape.safeParse(body).data;
  if (thin !== undefined) {
    const reason = 'Thin events hold nothing to read: let the endpoint send snapshot events.';
    return { outcome: 'told', told: { id: `${provider}:${thin.id}`, provider, type: thin.type, occurredAt: thin.created, apiVersion: null, event: null, reason } };
  }
  const parsed = eventShape.safeParse(body);
  if (!parsed.success) return { outcome: 'unreadable', reason: 'The body is not an event in Stripe\'s snapshot format.' };
  const event = parsed.data;
  const found = readStripeEvent(event, provider);
  const told = { id: `${provider}:${event.id}`, provider, type: event.type, occurredAt: event.created, apiVersion: event.api_version };
  return { outcome: 'told', told: typeof found === 'string' ? { ...told, event: null, reason: found } : { ...told, event: found, reason: null } };
}
