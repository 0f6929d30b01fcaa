/** Deletes at Meta's Graph API, which says the same of what is gone and of what may not be deleted. */
import { z } from 'zod';
import { callNetwork, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import type { PlatformIo } from '../platform.js';
import { graphFailure } from './graph-failures.js';

const refusal = z.object({ error: z.object({ code: z.literal(100), error_subcode: z.literal(33) }) });

/**
 * Deletes an object of one's own; what can't be read either is gone, so it can be repeated.
 * @param object its address
 */
export async function removeObject(object: string, access: Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'>, io: PlatformIo): Promise<void> {
  const answer = await callNetwork(io, { ...access, effect: 'read', method: 'DELETE', url: object });
  if (answer.status < 400) return;
  if (isMissing(answer) && isMissing(await callNetwork(io, { ...access, effect: 'read', method: 'GET', url: object, query: { fields: 'id' } }))) return;
  throw graphFailure(access.network, 'read')(answer, io);
}

function isMissing({ body }: NetworkAnswer): boolean {
  return refusal.safeParse(body).success;
}
