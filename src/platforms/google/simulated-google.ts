/** What Google's networks share on the simulator: tokens and error bodies. */
import { ok, type SimulatedAnswer, type SimulatedNetwork, type SimulatedRefusals } from '../simulator/network.js';

export function googleError(code: number, message: string, { reason, domain = 'global', status }: { reason?: string; domain?: string; status?: string } = {}): SimulatedAnswer {
  return { status: code, body: { error: { code, message, ...(status === undefined ? {} : { status }), ...(reason === undefined ? {} : { errors: [{ message, domain, reason }] }) } } };
}

export const googleToken: SimulatedNetwork['token'] = {
  path: '/token',
  answer: (grant, _account, now) => ok({ access_token: grant.accessToken, expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), refresh_token: grant.refreshToken, scope: 'simulated', token_type: 'Bearer' }),
  error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error, error_description: description } }),
};

export const googleRefusals: SimulatedRefusals = {
  signedOut: () => googleError(401, 'Request had invalid authentication credentials.', { reason: 'authError', status: 'UNAUTHENTICATED' }),
  tooMany: (after): SimulatedAnswer => ({ ...googleError(429, 'Quota exceeded for quota metric.', { reason: 'rateLimitExceeded', status: 'RESOURCE_EXHAUSTED' }), headers: retryAfter(after) }),
  serverError: () => googleError(503, 'The service is currently unavailable.', { reason: 'backendError', status: 'UNAVAILABLE' }),
  suspended: () => googleError(403, 'The account has been suspended.', { reason: 'accountSuspended', status: 'PERMISSION_DENIED' }),
  duplicate: () => googleError(409, 'The resource exists already.', { reason: 'duplicate', status: 'ALREADY_EXISTS' }),
  dailyLimit: () => googleError(403, 'The request cannot be completed because you have exceeded your quota.', { reason: 'quotaExceeded', domain: 'youtube.quota' }),
  refused: (message) => googleError(400, message, { reason: 'badRequest', status: 'INVALID_ARGUMENT' }),
};

function retryAfter(seconds: number | null): Record<string, string> {
  return seconds === null ? {} : { 'retry-after': String(seconds) };
}
