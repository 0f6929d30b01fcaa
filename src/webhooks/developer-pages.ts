/** Pages for developers who write receivers: the catalogue of events, and the check of a signature. */
import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { actorOf } from '../http/actor.js';
import { form, type FormProblems } from '../http/forms.js';
import { readBody } from '../http/input.js';
import { render } from '../http/render.js';
import type { Diagnosis } from './diagnose.js';
import type { EndpointService } from './endpoint-service.js';
import { CATALOGUE } from './event-catalogue.js';
import { SNIPPETS } from './snippets.js';

export interface DeveloperPagesDeps {
  endpoints: EndpointService;
}

/** Header lines as a log shows them; names are what counts, values may be anything. */
const headerLines = z.string('Paste the headers.').max(50_000, 'These are too many headers.').transform((text) => {
  const lines = text.split(/\r\n|\r|\n/).map((line) => /^\s*([^:\s]+)\s*:\s*(.*)$/.exec(line)).filter((match) => match !== null);
  return Object.fromEntries(lines.map(([, name = '', value = '']) => [name.toLowerCase(), value.trim()]));
});

const verifySchema = z.object({
  body: z.string('Paste the raw body.').min(1, 'Paste the raw body.').max(300_000, 'This body is too long.'),
  headers: headerLines,
  secret: z.string().max(300, 'A secret has at most 256 characters.').optional(),
});

/** Mounted at `/`, behind sign-in, before the endpoints' pages. */
export function developerPages(deps: DeveloperPagesDeps): Router {
  const router = Router();
  router.get('/webhooks/events', (_req, res) => render(res, 'webhooks/events', { catalogue: CATALOGUE }));
  router.get('/webhooks/verify', (_req, res) => show(res, {}));
  router.post('/webhooks/verify', form((req, res) => verify(deps, req, res), (_req, res, again) => show(res, again)));
  return router;
}

function show(res: Response, model: Partial<FormProblems> & { diagnosis?: Diagnosis }): void {
  render(res, 'webhooks/verify', { input: {}, problems: {}, message: '', diagnosis: null, snippets: SNIPPETS, ...model });
}

async function verify({ endpoints }: DeveloperPagesDeps, req: Request, res: Response): Promise<void> {
  const { body, headers, secret = '' } = readBody(req, verifySchema);
  // A form writes line breaks its own way; what arrived almost never had any, or plain ones.
  const raw = body.replaceAll('\r\n', '\n');
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join('\n');
  show(res, { input: { body: raw, headers: lines }, diagnosis: await endpoints.diagnose(actorOf(req), { headers, body: raw, secret: secret === '' ? null : secret }) });
}
