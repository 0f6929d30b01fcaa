/** What Signpost's own API for webhooks takes: endpoints, deliveries, events, and the check of a signature. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { DELIVERY_STATES } from './delivery.js';
import { MAX_DESCRIPTION, MAX_PER_MINUTE, TIMEOUT_S } from './endpoint.js';
import { PUBLIC_EVENT_TYPES } from './event.js';
import { PAYLOAD_STYLES } from './payload.js';

const url = z.string('Give the URL that webhooks are sent to.').min(1, 'Give the URL that webhooks are sent to.').meta({ code: ErrorCode.webhookUrl });
const headers = z.record(z.string(), z.string('A header value is text.'), 'Give an object of header names and values.').transform((given) => Object.entries(given).map(([name, value]) => ({ name, value })));

const fields = {
  name: z.string().max(60, 'A name has at most 60 characters.'),
  url,
  style: z.enum(PAYLOAD_STYLES, `Use one of ${PAYLOAD_STYLES.join(', ')}.`),
  events: z.array(z.string().max(60)).min(1, 'Give at least one event.').max(50),
  headers,
  description: z.string('Write what it is for.').max(MAX_DESCRIPTION, `A description has at most ${MAX_DESCRIPTION} characters.`),
  maxPerMinute: z.number('Give a number, or null.').int().min(MAX_PER_MINUTE.min).max(MAX_PER_MINUTE.max).nullable(),
  clientCertificate: z.strictObject({ certificate: z.string('Give the certificate in PEM.').max(40_000), key: z.string('Give the private key in PEM.').max(40_000).default('') }).nullable(),
  ordered: z.boolean('Give true or false.'),
  timedHeader: z.string('Give the name of a header, or null.').min(1).max(100).nullable(),
  timeoutS: z.number('Give a number of seconds.').int().min(TIMEOUT_S.min).max(TIMEOUT_S.max),
};

export const apiNewEndpoint = z.strictObject({
  ...fields, name: fields.name.default(''), style: fields.style.default('signpost'), events: fields.events.default(['*']), headers: fields.headers.optional(), timeoutS: fields.timeoutS.optional(),
  description: fields.description.optional(), maxPerMinute: fields.maxPerMinute.optional(), ordered: fields.ordered.optional(), timedHeader: fields.timedHeader.optional(), clientCertificate: fields.clientCertificate.optional(),
  secret: z.string().min(1).max(256).optional(),
});
export const apiChangeEndpoint = z.strictObject({ ...fields, state: z.enum(['enabled', 'paused'], 'Use enabled or paused.') }).partial();

const instant = z.iso.datetime({ offset: true, error: 'Give a time with its zone, e.g. 2026-07-08T12:30:00Z.' }).transform((text) => new Date(text));
const limit = z.coerce.number('Give a number.').int().min(1).max(100, 'At most 100.').default(50);
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

export const statsQuery = z.object({ hours: z.coerce.number('Give a number of hours.').min(1).max(720, 'At most 720 hours, which are 30 days.').default(24) });

export const eventsQuery = z.object({
  since: instant.optional(),
  type: z.enum(PUBLIC_EVENT_TYPES, 'This is not an event type.').optional(),
  delivery: z.literal('failed', 'Only failed can be asked for.').optional(),
  cursor,
  limit,
});

export const apiRotate = z.object({ overlapHours: z.number('Give a number of hours.').min(0).max(168, 'At most 168 hours, which are 7 days.').default(24) });
export const apiRecover = z.object({ since: instant });

/** What a developer has in hand whose signature doesn't match. */
export const verifyInput = z.object({
  /** The raw body, exactly as it was received. */
  body: z.string('Give the raw body as text, exactly as it was received.').max(300_000),
  headers: z.record(z.string(), z.string()).transform((given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))),
  /** The secret that the receiver uses; left out: those of the account's endpoints are tried. */
  secret: z.string().min(1).max(300).optional(),
});
