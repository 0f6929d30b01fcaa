/** The page of API keys: made, shown once, revoked. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { readBody, readParams } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { idParamSchema, newApiKeySchema } from './account-schemas.js';
import type { ApiKeyService } from './api-key-service.js';

export interface ApiKeyPagesDeps {
  apiKeys: ApiKeyService;
  /** The address that programs call, e.g. `http://127.0.0.1:3000`; asked per request, the port may be known late. */
  publicUrl: () => string;
}

const NO_PROBLEMS: FormProblems = { input: {}, problems: {}, fields: [], message: '' };

export function apiKeyPages({ apiKeys, publicUrl }: ApiKeyPagesDeps): Router {
  const router = Router();

  const show = async (req: Request, res: Response, more: object): Promise<void> => {
    const keys = await apiKeys.list(actorOf(req));
    render(res, 'accounts/api-keys', { ...NO_PROBLEMS, keys, created: null, publicUrl: publicUrl(), ...more });
  };

  router.get('/api-keys', (req, res) => show(req, res, {}));

  router.post('/api-keys', form(async (req, res) => {
    const { name } = readBody(req, newApiKeySchema);
    const { text, key } = await apiKeys.create(actorOf(req), name);
    // Answered at once instead of by a redirect: the key's text is kept nowhere, not even for a moment.
    res.status(201).set('Cache-Control', 'no-store');
    await show(req, res, { created: { text, name: key.name } });
  }, (req, res, again) => show(req, res, again)));

  router.post('/api-keys/:id/revoke', async (req, res) => {
    await apiKeys.revoke(actorOf(req), readParams(req, idParamSchema).id);
    flash(req, 'success', 'The key is revoked. Programs that still use it are refused from now on.');
    goTo(req, res, '/api-keys');
  });

  return router;
}
