/** What Signpost's own API for webhooks takes: endpoints, deliveries, events, and the check of a signature. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { DELIVERY_STATES } from './delivery.js';
import { AYRSHARE_ACTIONS, MAX_DESCRIPTION, MAX_PER_MINUTE, TIMEOUT_S } from './endpoint.js';
import { PUBLIC_EVENT_TYPES } from './event.js';
import { PAYLOAD_STYLES, type PayloadStyle } from './payload.js';

const url = z.string('Give the URL that webhooks are sent to.').min(1, 'Give the URL that webhooks are sent to.').meta({ code: ErrorCode.webhookUrl });
const headers = z.record(z.string(), z.string('A header value is text.'), 'Give an object of header names and values.').transform((given) => Object.entries(given).map(([name, value]) => ({ name, value })));

/** A number out of its range is told the range. */
function whole(kind: string, { min, max }: { min: number; max: number }, unit: string) {
  return z.number(kind).int('Give a whole number.').min(min, `At least ${min} ${unit}.`).max(max, `At most ${max} ${unit}.`);
}

const fields = {
  name: z.string().max(60, 'A name has at most 60 characters.'),
  url,
  style: z.enum(PAYLOAD_STYLES, `Use one of ${PAYLOAD_STYLES.join(', ')}.`),
  events: z.array(z.string()).min(1, 'Give at least one event.').max(50, 'Give at most 50 events.'),
  headers,
  description: z.string('Write what it is for.').max(MAX_DESCRIPTION, `A description has at most ${MAX_DESCRIPTION} characters.`),
  maxPerMinute: whole('Give a number, or null.', MAX_PER_MINUTE, 'a minute').nullable(),
  clientCertificate: z.strictObject({ certificate: z.string('Give the certificate in PEM.').max(40_000), key: z.string('Give the private key in PEM.').max(40_000).default('') }).nullable(),
  ordered: z.boolean('Give true or false.'),
  timedHeader: z.string('Give the name of a header, or null.').min(1).max(100).nullable(),
  timeoutS: whole('Give a number of seconds.', TIMEOUT_S, 'seconds'),
};

/** One that is left out for being unknown would be missed long after. */
function knownEvents({ events, style }: { events?: string[] | undefined; style?: PayloadStyle | undefined }, context: z.core.$RefinementCtx): void {
  const known: readonly string[] = style === undefined ? ['*', ...AYRSHARE_ACTIONS, ...PUBLIC_EVENT_TYPES] : style === 'ayrshare' ? AYRSHARE_ACTIONS : ['*', ...PUBLIC_EVENT_TYPES];
  for (const [i, event] of (events ?? []).entries()) {
    if (!known.includes(event)) context.addIssue({ code: 'custom', path: ['events', i], message: `"${event.slice(0, 60)}" is not known${style === undefined ? '' : ` in the format ${style}`}. Use ${known.join(', ')}.` });
  }
}

export const apiNewEndpoint = z.strictObject({
  ...fields, name: fields.name.default(''), style: fields.style.default('signpost'), events: fields.events.default(['*']), headers: fields.headers.optional(), timeoutS: fields.timeoutS.optional(),
  description: fields.description.optional(), maxPerMinute: fields.maxPerMinute.optional(), ordered: fields.ordered.optional(), timedHeader: fields.timedHeader.optional(), clientCertificate: fields.clientCertificate.optional(),
  secret: z.string().min(1).max(256).optional(),
}).superRefine(knownEvents);
export const apiChangeEndpoint = z.strictObject({ ...fields, state: z.enum(['enabled', 'paused'], 'Use enabled or paused.') }).partial().superRefine(knownEvents);

const instant = z.iso.datetime({ offset: true, error: 'Give a time with its zone, e.g. 2026-07-08T12:30:00Z.' }).transform((text) => new Date(text));
const limit = z.coerce.number('Give a number.').int('Give a whole number.').min(1, 'At least 1.').max(100, 'At most 100.').default(50);
const cursor = z.string().regex(/^\d{1,15}-[a-z]{3}_[0-9a-z]{20,40}$/, 'Use the `next` of the answer before.').optional().transform((text) => {
  const [time, id] = text === undefined ? [] : text.split(/-(.*)/s);
  return time === undefined || id === undefined ? undefined : { at: new Date(Number(time)), id };
});

export const deliveriesQuery = z.object({
  endpoint: z.string().max(60).optional(),
  state: z.enum(DELIVERY_STATES as [string, ...string[]], `Use one of ${DELIVERY_STATES.join(', ')}.`).optional(),
  event: z.string().max(60).optional(),
  since: instant.optional(),
  /** Part of a post id, an event id, a URL or an error. */
  text: z.string().trim().max(100, 'At most 100 characters.').optional(),
  cursor,
  limit,
});

export const statsQuery = z.object({ hours: z.coerce.number('Give a number of hours.').min(1, 'At least 1 hour.').max(720, 'At most 720 hours, which are 30 days.').default(24) });

export const eventsQuery = z.object({
  since: instant.optional(),
  type: z.enum(PUBLIC_EVENT_TYPES, 'This is not an event type.').optional(),
  delivery: z.literal('failed', 'Only failed can be asked for.').optional(),
  cursor,
  limit,
});

export const apiRotate = z.object({ overlapHours: z.number('Give a number of hours.').min(0, 'At least 0 hours.').max(168, 'At most 168 hours, which are 7 days.').default(24) });
export const apiRecover = z.object({ since: instant });

/** What a developer has in hand whose signature doesn't match. */
export const verifyInput = z.object({
  /** The raw body, exactly as it was received. */
  body: z.string('Give the raw body as text, exactly as it was received.').max(300_000),
  headers: z.record(z.string(), z.string()).transform((given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))),
  /** The secret that the receiver uses; left out: those of the account's endpoints are tried. */
  secret: z.string().min(1).max(300).optional(),
});
