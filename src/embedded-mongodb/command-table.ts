/** Every command by name, and the checks that apply to all of them. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import type { CommandContext, Engine, Handler } from './command-context.js';
import { checkApiVersion } from './api-version.js';
import { beginTurn } from './budget.js';
import { checkCommandFields } from './command-fields.js';
import { aggregate } from './commands-aggregate.js';
import { count, distinct, explain, find, getMore, killCursors } from './commands-read.js';
import { collMod, create, createIndexes, drop, dropDatabase, dropIndexes, listCollections, listDatabases, listIndexes, renameCollection } from './commands-schema.js';
import { buildInfo, cmdLineOpts, collStats, connectionStatus, currentOp, dbStats, getLog, getParameter, hello, hostInfo, ok, profile, serverStatus, setParameter, startSession, whatsMyUri } from './commands-server.js';
import { truthy } from './match.js';
import { isWritingStage } from './pipeline-output.js';
import { storageFailure } from './storage-failure.js';
import { shown } from './update-fields.js';
import { validate } from './validate.js';
import { wholeNumber } from './match-leaf.js';
import type { Message } from './wire.js';
import { remove } from './write-delete.js';
import { findAndModify } from './write-find-and-modify.js';
import { insert } from './write-insert.js';
import { update } from './write-update.js';

interface Entry {
  handler: Handler;
  mode: 'at-once' | 'read' | 'write';
}

const atOnce = (handler: Handler): Entry => ({ handler, mode: 'at-once' });
const read = (handler: Handler): Entry => ({ handler, mode: 'read' });
const write = (handler: Handler): Entry => ({ handler, mode: 'write' });

const COMMANDS = new Map<string, Entry>(
  Object.entries({
    hello: atOnce(hello), ismaster: atOnce(hello), ping: atOnce(ok), buildinfo: atOnce(buildInfo), serverstatus: atOnce(serverStatus), connectionstatus: atOnce(connectionStatus),
    getparameter: atOnce(getParameter), hostinfo: atOnce(hostInfo), getlog: atOnce(getLog), whatsmyuri: atOnce(whatsMyUri), getcmdlineopts: atOnce(cmdLineOpts), currentop: atOnce(currentOp), setparameter: atOnce(setParameter), profile: atOnce(profile), usersinfo: atOnce(() => ({ users: [], ok: 1 })),
    startsession: atOnce(startSession), endsessions: atOnce(ok), refreshsessions: atOnce(ok), killsessions: atOnce(ok), killallsessions: read(killAllSessions), logout: atOnce(ok),
    dbstats: read(dbStats), collstats: read(collStats), find: read(find), getmore: read(getMore), killcursors: read(killCursors), count: read(count), distinct: read(distinct),
    explain: read(explain), aggregate: read(aggregate), listindexes: read(listIndexes), listcollections: read(listCollections), listdatabases: read(listDatabases), validate: read(validate),
    insert: write(insert), update: write(update), delete: write(remove), findandmodify: write(findAndModify), create: write(create), drop: write(drop), dropdatabase: write(dropDatabase),
    createindexes: write(createIndexes), dropindexes: write(dropIndexes), deleteindexes: write(dropIndexes), renamecollection: write(renameCollection), collmod: write(collMod),
    fsync: write(flushDisk),
  }),
);

/** Commands that MongoDB has and this server does not. */
const REFUSED = new Set([
  'mapreduce', 'createuser', 'updateuser', 'dropuser', 'dropallusersfromdatabase', 'grantrolestouser', 'revokerolesfromuser', 'createrole', 'droprole', 'clonecollectionascapped', 'converttocapped', 'compact', 'reindex', 'shutdown',
  'top', 'dbhash', 'datasize', 'setfeaturecompatibilityversion', 'setdefaultrwconcern', 'killop', 'applyops', 'addshard', 'shardcollection', 'enablesharding', 'createsearchindexes', 'listsearchindexes',
  'getdefaultrwconcern', 'logrotate', 'connpoolstats', 'features', 'listcommands', 'lockinfo', 'rolesinfo', 'plancacheclear', 'plancachesetfilter', 'plancachelistfilters', 'plancacheclearfilters', 'fsyncunlock', 'killallsessionsbypattern',
  'rotatecertificates', 'setindexcommitquorum', 'updaterole', 'grantprivilegestorole', 'invalidateusercache', 'dropconnections', 'filemd5', 'getauditconfig', 'setauditconfig', 'aborttransaction', 'committransaction',
]);

function unknownCommand(name: string): CommandError {
  const lower = name.toLowerCase();
  if (lower.startsWith('replset')) return new CommandError(76, 'not running with --replSet');
  if (lower === 'saslstart' || lower === 'saslcontinue' || lower === 'authenticate') return new CommandError(18, 'Authentication failed: this server has no users. Leave user name and password out of the connection string.');
  return REFUSED.has(lower) ? new CommandError(115, `${name} is not supported by this server`) : new CommandError(59, `no such command: '${name}'`);
}

/** `fsync`; the flush itself comes after it. @throws CommandError 115 for one that is to lock, since nothing here can be locked */
function flushDisk(context: CommandContext): Doc {
  if (truthy(context.command['lock'])) throw new CommandError(115, 'fsync with lock is not supported by this server');
  return { numFiles: 1, ok: 1 };
}

/** Of sessions nothing is kept but the cursors that were opened in them. Those of named users are none: there are no users. */
function killAllSessions({ command, cursors }: CommandContext): Doc {
  const users = command['killAllSessions'];
  if (!Array.isArray(users)) throw new CommandError(14, "BSON field 'killAllSessions' must be an array of users");
  if (users.length === 0) for (const cursor of cursors.idle()) cursors.kill(cursor.id);
  return { ok: 1 };
}

/** Runs one message's command; every failure becomes a reply. */
export async function runCommand(engine: Engine, message: Message, connectionId: number): Promise<Doc> {
  const { body, db, sequences } = message;
  const name = Object.keys(body)[0] ?? '';
  try {
    const entry = COMMANDS.get(name.toLowerCase());
    if (!entry) throw unknownCommand(name);
    engine.counters.set(name, (engine.counters.get(name) ?? 0) + 1);
    checkEnvelope(body, db);
    checkApiVersion(name, body);
    checkCommandFields(name, body);
    const context: CommandContext = { ...engine, db, name, command: body, sequences, connectionId, deadline: deadlineOf(body) };
    if (entry.mode === 'at-once') return await entry.handler(context);
    const writes = entry.mode === 'write' || writesOutput(body);
    const reply = await engine.executor.submit(writes, true, () => {
      beginTurn(context.deadline);
      return entry.handler(context);
    });
    if (writes && wantsFlush(name, body)) await flushed(engine);
    return reply;
  } catch (error) {
    return errorReply(error);
  }
}

/** @throws CommandError 14031 or 8 when the disk does not take what was written */
async function flushed({ durability, store }: Engine): Promise<void> {
  try {
    await durability.flush();
  } catch (error) {
    throw storageFailure(store.path, error, 'may be lost if the machine fails');
  }
}

/** `j: true` and `w: 'majority'` wait until the write would survive a crash of the machine. */
function wantsFlush(name: string, body: Doc): boolean {
  const concern = body['writeConcern'];
  return name === 'fsync' || (isObject(concern) && (concern['j'] === true || concern['w'] === 'majority'));
}

/** An aggregation that ends in `$out` or `$merge` writes. */
function writesOutput(body: Doc): boolean {
  const last = Array.isArray(body['pipeline']) ? (body['pipeline'] as unknown[]).at(-1) : undefined;
  return isObject(last) && isWritingStage(last);
}

function errorReply(error: unknown): Doc {
  if (error instanceof CommandError) return { ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName, ...error.extra };
  if (error instanceof RangeError && /call stack/i.test(error.message)) return { ok: 0, errmsg: 'the command is nested too deeply', code: 15, codeName: 'Overflow' };
  process.stderr.write(`embedded-mongodb: ${error instanceof Error ? error.stack : String(error)}\n`);
  return { ok: 0, errmsg: `internal error: ${error instanceof Error ? error.message : String(error)}`, code: 1, codeName: 'InternalError' };
}

function deadlineOf(body: Doc): number {
  const ms = body['maxTimeMS'];
  if (ms === undefined || ms === null) return Infinity;
  const whole = wholeNumber(ms);
  if (whole === null || whole < 0 || whole > 2147483647) throw new CommandError(2, `${shown(ms)} value for maxTimeMS is out of range [0, 2147483647]`);
  return whole === 0 ? Infinity : performance.now() + whole;
}

/** What a standalone server refuses in any command: transactions, write concerns and read concerns it can't meet. */
function checkEnvelope(body: Doc, db: string): void {
  if (db === '' || /[/\\. "\0]/.test(db)) throw new CommandError(73, `Invalid database name: '${db}'`);
  if ('txnNumber' in body || 'startTransaction' in body || 'autocommit' in body) throw new CommandError(20, 'Transaction numbers are only allowed on a replica set member or mongos');
  const concern = body['writeConcern'];
  if (isObject(concern)) checkWriteConcern(concern['w']);
  const reading = body['readConcern'];
  if (isObject(reading)) {
    const level = reading['level'];
    if (level !== undefined && !['local', 'available', 'majority', 'linearizable'].includes(level as string)) {
      throw level === 'snapshot' ? new CommandError(123, 'node needs to be a replica set member to use readConcern: snapshot') : new CommandError(9, `invalid read concern level: ${shown(level)}`);
    }
  }
}

function checkWriteConcern(w: unknown): void {
  if (w === undefined || w === 'majority') return;
  if (typeof w === 'string') throw new CommandError(2, `cannot use non-majority 'w' mode "${w}" when a host is not a member of a replica set`);
  if (!isObject(w) && (wholeNumber(w) ?? 2) > 1) throw new CommandError(2, "cannot use 'w' > 1 when a host is not replicated");
}
