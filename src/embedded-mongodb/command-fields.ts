/** Which fields each command takes: MongoDB refuses others, so that a misspelt or newer option is never ignored in silence. */
import type { Doc } from './bson-decode.js';
import { CommandError } from './command-error.js';

const COMMON = new Set([
  '$db', 'lsid', '$clusterTime', '$readPreference', 'maxTimeMS', 'comment', 'readConcern', 'writeConcern', 'apiVersion', 'apiStrict', 'apiDeprecationErrors',
  '$client', '$audit', '$configServerState', 'maxTimeMSOpOnly', 'maxAwaitTimeMS',
]);

const list = (names: string): Set<string> => new Set(names.split(' '));

const FIELDS: Record<string, Set<string>> = {
  find: list('find filter sort projection hint skip limit batchSize singleBatch max min returnKey showRecordId tailable oplogReplay noCursorTimeout awaitData allowPartialResults collation allowDiskUse let'),
  insert: list('insert documents ordered bypassDocumentValidation'),
  update: list('update updates ordered bypassDocumentValidation let'),
  delete: list('delete deletes ordered let'),
  findandmodify: list('findAndModify findandmodify query sort remove update new fields upsert bypassDocumentValidation collation arrayFilters hint let'),
  aggregate: list('aggregate pipeline cursor explain allowDiskUse bypassDocumentValidation collation hint let'),
  count: list('count query limit skip hint collation fields'),
  distinct: list('distinct key query collation'),
  getmore: list('getMore collection batchSize'),
  createindexes: list('createIndexes indexes commitQuorum ignoreUnknownIndexOptions v'),
};

const STATEMENT_FIELDS: Record<string, Set<string>> = {
  updates: list('q u c multi upsert collation arrayFilters hint'),
  deletes: list('q limit collation hint'),
};

function unknown(where: string, name: string): CommandError {
  return new CommandError(40415, `BSON field '${where}.${name}' is an unknown field.`);
}

/** @throws CommandError 40415 */
export function checkCommandFields(command: string, body: Doc): void {
  const known = FIELDS[command.toLowerCase()];
  if (!known) return;
  for (const name in body) if (!known.has(name) && !COMMON.has(name)) throw unknown(command, name);
}

/** @throws CommandError 40415 */
export function checkStatementFields(command: string, listName: string, statement: Doc): void {
  const known = STATEMENT_FIELDS[listName];
  for (const name in statement) if (known && !known.has(name)) throw unknown(`${command}.${listName}`, name);
}
