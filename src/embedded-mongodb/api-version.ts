/** The Stable API: with `apiStrict` a client asks to be refused whatever is not in version 1. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError, typeMismatch } from './command-error.js';

const VERSION_1 = new Set([
  'aggregate', 'collmod', 'count', 'create', 'createindexes', 'delete', 'drop', 'dropdatabase', 'dropindexes', 'endsessions', 'explain', 'find', 'findandmodify', 'getmore', 'hello', 'insert',
  'killcursors', 'killsessions', 'listcollections', 'listdatabases', 'listindexes', 'ping', 'refreshsessions', 'update', 'aborttransaction', 'committransaction', 'authenticate', 'saslstart', 'saslcontinue', 'logout',
]);
const STAGES_OUTSIDE = ['$collStats', '$currentOp', '$indexStats', '$listLocalSessions', '$listSessions', '$planCacheStats', '$search', '$searchMeta'];

/** @throws CommandError 322 or 323 */
export function checkApiVersion(name: string, body: Doc): void {
  const { apiVersion, apiStrict, apiDeprecationErrors } = body;
  if (apiVersion === undefined) {
    if (apiStrict !== undefined || apiDeprecationErrors !== undefined) throw new CommandError(322, "Provided apiStrict and/or apiDeprecationErrors without passing apiVersion");
    return;
  }
  if (typeof apiVersion !== 'string') throw typeMismatch("BSON field 'apiVersion' is the wrong type, expected type 'string'");
  if (apiVersion !== '1') throw new CommandError(322, 'API version must be "1"');
  if (apiStrict !== true) return;
  if (!VERSION_1.has(name.toLowerCase())) throw new CommandError(323, `Provided apiStrict:true, but the command ${name} is not in API Version 1. Information on supported commands and migrations in API Version 1 can be found at https://dochub.mongodb.org/core/manual-versioned-api`);
  for (const stage of Array.isArray(body['pipeline']) ? (body['pipeline'] as unknown[]) : []) {
    const outside = isObject(stage) ? STAGES_OUTSIDE.find((one) => one in stage) : undefined;
    if (outside) throw new CommandError(323, `stage ${outside} is not allowed with 'apiStrict: true' in API Version 1`);
  }
}
