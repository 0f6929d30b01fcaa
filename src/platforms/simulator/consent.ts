/** The simulated networks' consent page: names the app and what it asks for, lets a person choose an account, and redirects back. */
import { randomBytes } from 'node:crypto';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { SimulatedNetwork, SimulatorSettings } from './network.js';
import { sendPage } from './pages.js';
import { newGrant } from './tokens.js';
import type { SimulatedAccount, World } from './world.js';

interface ConsentRequest {
  clientId: string;
  redirectUri: string;
  state: string;
  codeChallenge: string | null;
}

interface Deps {
  world: World;
  settings: SimulatorSettings;
  now(): number;
}

export function showConsent(network: SimulatedNetwork, deps: Deps, req: Request, res: Response): void {
  const asked = readRequest(network, req.query);
  if (typeof asked === 'string') return sendPage(res, 'problem', { title: `${network.name} can't show this page`, message: asked }, { status: 400 });
  showForm(network, deps, res, asked, {});
}

export function decideConsent(network: SimulatedNetwork, deps: Deps, req: Request, res: Response): void {
  const fields = z.record(z.string(), z.unknown()).safeParse(req.body).data ?? {};
  const asked = readRequest(network, fields);
  if (typeof asked === 'string') return sendPage(res, 'problem', { title: `${network.name} can't go on`, message: asked }, { status: 400 });
  if (fields['decision'] !== 'allow') return redirect(res, asked, { error: 'access_denied', error_description: 'The person said no.' });
  const typed = typeof fields['newHandle'] === 'string' ? fields['newHandle'].trim().replace(/^@/, '') : '';
  const chosen = typed === '' && typeof fields['handle'] === 'string' ? fields['handle'] : typed;
  if (!network.handlePattern.test(chosen)) {
    return showForm(network, deps, res, asked, { newHandle: typed, problem: `That can't be a handle at ${network.name}. Use one like ${network.exampleHandle}.` });
  }
  const account = accountOf(network, chosen, deps);
  const code = randomBytes(24).toString('base64url');
  deps.world.put('code', { network: network.id, id: code, accountId: account.id, ...asked, expiresAt: deps.now() + deps.settings.codeMs, grantId: null });
  redirect(res, asked, { code });
}

/** The page of networks that have no consent: makes an account and shows what is to be typed in to connect it. */
export function showGives(network: SimulatedNetwork, deps: Deps, _req: Request, res: Response): void {
  sendPage(res, 'gives', { title: network.gives!.title, network, accounts: deps.world.accounts(network.id), values: null, problem: null, newHandle: network.exampleHandle });
}

export function give(network: SimulatedNetwork, deps: Deps, req: Request, res: Response): void {
  const typed = z.object({ newHandle: z.string() }).safeParse(req.body).data?.newHandle.trim().replace(/^@/, '') ?? '';
  const page = { title: network.gives!.title, network, accounts: deps.world.accounts(network.id), newHandle: typed };
  if (!network.handlePattern.test(typed)) {
    return sendPage(res, 'gives', { ...page, values: null, problem: `That can't be a handle at ${network.name}. Use one like ${network.exampleHandle}.` }, { status: 422 });
  }
  const account = accountOf(network, typed, deps);
  const grant = newGrant(network.id, account.id, randomBytes(9).toString('base64url'), deps.now() + (network.accessTokenMs ?? deps.settings.accessTokenMs));
  deps.world.put('grant', grant);
  sendPage(res, 'gives', { ...page, values: network.gives!.values(grant, account, `${req.protocol}://${req.get('host') ?? ''}/${network.id}/api`), problem: null });
}

function accountOf(network: SimulatedNetwork, handle: string, { world, now }: Deps): SimulatedAccount {
  const known = world.accountByHandle(network.id, handle);
  if (known !== undefined) return known;
  const account: SimulatedAccount = { network: network.id, id: network.accountId(handle), handle, displayName: displayNameOf(handle), createdAt: now() };
  world.put('account', account);
  return account;
}

function displayNameOf(handle: string): string {
  const words = handle.split('.')[0]!.split(/[-_]+/).filter((word) => word !== '');
  return words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join(' ') || handle;
}

function showForm(network: SimulatedNetwork, { world }: Deps, res: Response, asked: ConsentRequest, again: { newHandle?: string; problem?: string }): void {
  const accounts = world.accounts(network.id);
  sendPage(res, 'consent', {
    title: `${network.name}: allow access?`, network, accounts, asked, hidden: hiddenFields(network, asked),
    appName: asked.clientId, returnsTo: new URL(asked.redirectUri).host,
    newHandle: again.newHandle ?? (accounts.length === 0 ? network.exampleHandle : ''), problem: again.problem ?? null,
  }, { status: again.problem === undefined ? 200 : 422, formTarget: new URL(asked.redirectUri).origin });
}

function hiddenFields(network: SimulatedNetwork, asked: ConsentRequest): Record<string, string> {
  return {
    [network.consent.clientParam]: asked.clientId, redirect_uri: asked.redirectUri, state: asked.state, response_type: 'code',
    ...(asked.codeChallenge === null ? {} : { code_challenge: asked.codeChallenge, code_challenge_method: 'S256' }),
  };
}

/** @returns the request, or what is wrong with it */
function readRequest(network: SimulatedNetwork, fields: Record<string, unknown>): ConsentRequest | string {
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  const clientId = text(network.consent.clientParam);
  const redirectUri = text('redirect_uri');
  const challenge = text('code_challenge');
  if (clientId === '' || clientId.length > 500) return `The parameter ${network.consent.clientParam} is missing.`;
  if (!URL.canParse(redirectUri) || !/^https?:$/.test(new URL(redirectUri).protocol)) return 'The parameter redirect_uri must be an http(s) address.';
  if (text('response_type') !== 'code') return 'The parameter response_type must be "code".';
  if (challenge !== '' && text('code_challenge_method') !== 'S256') return 'The parameter code_challenge_method must be "S256".';
  return { clientId, redirectUri, state: text('state'), codeChallenge: challenge === '' ? null : challenge };
}

function redirect(res: Response, asked: ConsentRequest, answer: Record<string, string>): void {
  const target = new URL(asked.redirectUri);
  for (const [name, value] of Object.entries({ ...answer, state: asked.state })) target.searchParams.set(name, value);
  res.redirect(303, target.href);
}
