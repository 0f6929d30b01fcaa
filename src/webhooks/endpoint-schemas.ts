/** What forms and the API take for endpoints and lists of deliveries. */
import { z } from 'zod';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { DELIVERY_STATES } from './delivery.js';
import { AYRSHARE_ACTIONS, KNOWN_ACTIONS, MAX_DESCRIPTION, MAX_PER_MINUTE, TIMEOUT_S } from './endpoint.js';
import { parseHeaders } from './custom-headers.js';
import { PUBLIC_EVENT_TYPES } from './event.js';
import { PAYLOAD_STYLES } from './payload.js';
import { secretProblem } from './signing.js';

const url = z.string('Enter the URL that webhooks are sent to, e.g. https://example.com/webhooks.').trim().min(1, 'Enter the URL that webhooks are sent to, e.g. https://example.com/webhooks.').meta({ code: ErrorCode.webhookUrl });

const secret = z.string('A secret is text of 1 to 256 characters.').transform((text, context) => {
  const problem = text === '' ? null : secretProblem(text);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  return text === '' ? undefined : text;
});

const action = z
  .enum(KNOWN_ACTIONS, `Use one of ${KNOWN_ACTIONS.join(', ')}; Signpost sends ${AYRSHARE_ACTIONS.join(', ')} so far.`)
  .meta({ code: ErrorCode.webhookAction });

/** `POST /api/hook/webhook` */
export const registerSchema = z.object({ action, url, secret: secret.nullish().transform((text) => text ?? undefined) });

/** `DELETE /api/hook/webhook` */
export const unregisterSchema = z.object({ action });

/** A checkbox list sends nothing, one value or several. */
const choices = z.union([z.string().transform((one) => [one]), z.array(z.string()).max(50)]).optional().transform((list) => list ?? []);

const name = z.string('Enter a name of at most 60 characters.').trim().max(60, 'A name has at most 60 characters.').optional().transform((text) => text ?? '');

const events = choices.transform((chosen, context) => {
  const unknown = chosen.filter((event) => event !== '*' && ![...AYRSHARE_ACTIONS, ...PUBLIC_EVENT_TYPES].some((known) => known === event));
  if (unknown.length > 0) context.addIssue({ code: 'custom', message: `Not an event: ${unknown[0]?.slice(0, 60)}.` });
  return chosen;
});

const endpointFields = {
  name,
  url,
  style: z.enum(PAYLOAD_STYLES, 'Choose a format.'),
  events,
  headers: z.string('Write one header per line, as Name: value.').max(50_000, 'These headers are too long.').optional().transform((text, context) => {
    if (text === undefined) return undefined;
    const parsed = parseHeaders(text);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue({ code: 'custom', message: parsed });
    return undefined;
  }),
  timeoutS: z.coerce.number('Enter a number of seconds.').int('Enter whole seconds.').min(TIMEOUT_S.min, `At least ${TIMEOUT_S.min} seconds.`).max(TIMEOUT_S.max, `At most ${TIMEOUT_S.max} seconds.`).optional(),
};

/** An unchecked box sends nothing. */
const box = z.literal('on', 'Check the box, or leave it.').optional().transform((given) => given === 'on');

const optionFields = {
  description: z.string('Write what it is for.').trim().max(MAX_DESCRIPTION, `A description has at most ${MAX_DESCRIPTION} characters.`).optional().transform((text) => text ?? ''),
  maxPerMinute: z.union([z.literal('').transform(() => null), z.coerce.number('Enter a number, or nothing.').int('Enter a whole number.').min(MAX_PER_MINUTE.min, `At least ${MAX_PER_MINUTE.min}.`).max(MAX_PER_MINUTE.max, `At most ${MAX_PER_MINUTE.max}.`)], 'Enter a number, or nothing.').optional().transform((number) => number ?? null),
  /** An empty certificate is none. */
  clientCertificate: z.string('Paste a certificate.').trim().max(40_000, 'This is too long for a certificate.').optional().transform((text) => text ?? ''),
  clientKeySecret: z.string('Paste a key.').max(40_000, 'This is too long for a private key.').optional().transform((text) => text ?? ''),
  ordered: box,
  timedHeader: z.string('Write the name of a header.').trim().max(100, 'This name is too long.').optional().transform((text) => (text === undefined || text === '' ? null : text)),
};

export const newEndpointSchema = z.object({ ...endpointFields, ...optionFields, secret: secret.optional() }).transform(withCertificate);
/** How long the old secret signs too; 0 to 7 days. */
export const rotateSchema = z.object({ overlapHours: z.coerce.number('Enter a number of hours.').min(0, 'At least 0 hours.').max(168, 'At most 168 hours, which are 7 days.').default(24) });
/** Where the switch stood: the list of endpoints, or the endpoint's own page. */
export const switchSchema = z.object({ from: z.literal('list').optional().catch(undefined) });
export const recoverSchema = z.object({ within: z.enum(['24h', '3d', '7d', '30d'], 'Choose how far back.') });
export const changeEndpointSchema = z.object({ ...endpointFields, ...optionFields }).transform(withCertificate);

/** Two fields of the form are one thing. */
function withCertificate<T extends { clientCertificate: string; clientKeySecret: string }>({ clientCertificate, clientKeySecret, ...rest }: T) {
  return { ...rest, clientCertificate: clientCertificate === '' ? null : { certificate: clientCertificate, key: clientKeySecret } };
}

/** @throws AppError `not-found` for what can't be an id: an address that was mistyped */
export function readId(params: Record<string, unknown>): string {
  const id = params['id'];
  if (typeof id === 'string' && /^[a-z]{3}_[0-9a-z]{20,40}$/.test(id)) return id;
  throw new AppError('not-found', ErrorCode.notFound, 'There is no such page. It may have moved, or the address is mistyped.');
}

const anyText = z.string().optional().catch(undefined);

/** Filters of the delivery log live in its URL; what can't be read is left out. */
export const deliveryQuery = z.object({
  state: z.enum([...DELIVERY_STATES, 'retrying']).optional().catch(undefined),
  endpoint: z.string().regex(/^end_[0-9a-z]{20,40}$/).optional().catch(undefined),
  event: z.enum([...AYRSHARE_ACTIONS, ...PUBLIC_EVENT_TYPES]).optional().catch(undefined),
  within: z.enum(['24h', '7d', '30d']).optional().catch(undefined),
  text: anyText.transform((text) => text?.trim().slice(0, 100)),
  before: anyText,
});
export type DeliveryQuery = z.output<typeof deliveryQuery>;
