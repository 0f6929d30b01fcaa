/** The commands about the server itself: handshakes, sessions, versions, sizes. */
import { hostname } from 'node:os';
import { Binary } from 'bson';
import { randomUUID } from 'node:crypto';
import type { Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { isObject } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { findCollection, type CommandContext } from './command-context.js';
import { wholeNumber } from './match-leaf.js';

/** The MongoDB version whose behaviour this server follows. */
export const SERVER_VERSION = '7.0.0';
/** The wire version of MongoDB 7.0. */
export const MAX_WIRE_VERSION = 21;

/**
 * A standalone server: no replica set name, so that drivers send neither transaction numbers nor change streams. It has no
 * `topologyVersion`, so that drivers poll it instead of asking for a stream of hellos.
 */
export function hello(context: CommandContext): Doc {
  const client = context.command['client'];
  if (isObject(client) && encode(client).length > 512) throw new CommandError(184, 'The client metadata document must be less then or equal to 512 bytes');
  const legacy = context.name.toLowerCase() === 'ismaster';
  return {
    ...(legacy ? { ismaster: true } : { isWritablePrimary: true }),
    helloOk: true,
    maxBsonObjectSize: 16777216,
    maxMessageSizeBytes: 48000000,
    maxWriteBatchSize: 100000,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: 30,
    connectionId: context.connectionId,
    minWireVersion: 0,
    maxWireVersion: MAX_WIRE_VERSION,
    readOnly: false,
    ok: 1,
  };
}

export function ok(): Doc {
  return { ok: 1 };
}

export function buildInfo(): Doc {
  return {
    version: SERVER_VERSION, versionArray: [7, 0, 0, 0], gitVersion: 'embedded', modules: [], allocator: 'system', javascriptEngine: 'none', sysInfo: 'deprecated',
    openssl: { running: 'none' }, bits: 64, debug: false, maxBsonObjectSize: 16777216, storageEngines: ['lmdb'], ok: 1,
  };
}

export function serverStatus(context: CommandContext): Doc {
  const memory = process.memoryUsage();
  return {
    host: hostname(), version: SERVER_VERSION, process: 'embedded-mongodb', pid: BigInt(process.pid), uptime: (Date.now() - context.startedAt) / 1000, localTime: new Date(),
    connections: { current: context.connections(), available: 10000, totalCreated: context.connections() },
    mem: { bits: 64, resident: Math.round(memory.rss / 1048576), virtual: 0, supported: true },
    metrics: { cursor: { open: { total: context.cursors.size() } } },
    opcounters: Object.fromEntries(context.counters),
    storageEngine: { name: 'lmdb', supportsCommittedReads: false, persistent: true }, ok: 1,
  };
}

export function dbStats(context: CommandContext): Doc {
  const own = [...context.catalog.collections.values()].filter((collection) => collection.db === context.db);
  const objects = own.reduce((sum, collection) => sum + collection.count, 0);
  const dataSize = own.reduce((sum, collection) => sum + collection.bytes, 0);
  return {
    db: context.db, collections: own.length, views: 0, objects, avgObjSize: objects > 0 ? dataSize / objects : 0, dataSize, storageSize: dataSize,
    indexes: own.reduce((sum, collection) => sum + collection.indexes.length, 0), indexSize: 0, totalSize: dataSize, scaleFactor: 1,
    fsUsedSize: 0, fsTotalSize: 0, ok: 1,
  };
}

export function collStats(context: CommandContext): Doc {
  const collection = findCollection(context);
  if (!collection) return { ns: `${context.db}.${String(context.command[context.name])}`, size: 0, count: 0, storageSize: 0, totalSize: 0, nindexes: 0, totalIndexSize: 0, indexDetails: {}, indexSizes: {}, scaleFactor: 1, ok: 1 };
  const { count, bytes } = collection;
  return {
    ns: collection.ns, size: bytes, count, avgObjSize: count > 0 ? Math.round(bytes / count) : 0, storageSize: bytes, capped: false, nindexes: collection.indexes.length,
    indexDetails: {}, indexBuilds: collection.indexes.filter((index) => !index.ready).map((index) => index.name), totalIndexSize: 0, totalSize: bytes,
    indexSizes: Object.fromEntries(collection.indexes.map((index) => [index.name, 0])), scaleFactor: 1, ok: 1,
  };
}

export function connectionStatus(): Doc {
  return { authInfo: { authenticatedUsers: [], authenticatedUserRoles: [] }, ok: 1 };
}

export function getParameter(context: CommandContext): Doc {
  const known: Doc = { featureCompatibilityVersion: { version: '7.0' }, enableTestCommands: false, requireApiVersion: false, authenticationMechanisms: [], ttlMonitorSleepSecs: context.sweep.everyMs / 1000 };
  if (context.command['getParameter'] === '*') return { ...known, ok: 1 };
  const wanted = Object.keys(context.command).filter((name) => name in known);
  if (wanted.length === 0) throw new CommandError(72, 'no option found to get');
  return { ...Object.fromEntries(wanted.map((name) => [name, known[name]])), ok: 1 };
}

export function hostInfo(): Doc {
  return { system: { currentTime: new Date(), hostname: '127.0.0.1', cpuAddrSize: 64, numCores: 1 }, os: { type: process.platform, name: process.platform, version: '' }, extra: {}, ok: 1 };
}

export function startSession(): Doc {
  return { id: { id: new Binary(Buffer.from(randomUUID().replaceAll('-', ''), 'hex'), 4) }, timeoutMinutes: 30, ok: 1 };
}

export function getLog(context: CommandContext): Doc {
  if (context.command['getLog'] === '*') return { names: ['global', 'startupWarnings'], ok: 1 };
  return { totalLinesWritten: 0, log: [], ok: 1 };
}

export function whatsMyUri(context: CommandContext): Doc {
  return { you: `127.0.0.1:${context.connectionId}`, ok: 1 };
}

export function cmdLineOpts(): Doc {
  return { argv: ['embedded-mongodb'], parsed: {}, ok: 1 };
}

/** Only how often expired documents are removed can be set. */
export function setParameter(context: CommandContext): Doc {
  const names = Object.keys(context.command).filter((name) => name !== 'setParameter' && !name.startsWith('$') && name !== 'lsid');
  if (names.length !== 1 || names[0] !== 'ttlMonitorSleepSecs') throw new CommandError(72, `attempted to set unrecognized parameter [${names[0] ?? ''}], use help:true to see options`);
  const seconds = wholeNumber(context.command['ttlMonitorSleepSecs']);
  if (seconds === null || seconds < 1) throw badValue('Invalid value for parameter ttlMonitorSleepSecs: it must be a whole number greater than 0');
  const was = context.sweep.everyMs / 1000;
  context.sweep.everyMs = seconds * 1000;
  return { was, ok: 1 };
}

export function profile(context: CommandContext): Doc {
  const level = wholeNumber(context.command['profile']);
  if (level !== -1 && level !== 0) throw new CommandError(115, 'this server does not profile: the level stays 0');
  return { was: 0, slowms: 100, sampleRate: 1, ok: 1 };
}

/** What is going on: the command that asks, and the cursors that wait to be asked. */
export function operations(context: CommandContext, idleCursors: boolean): Doc[] {
  const own = { type: 'op', host: `127.0.0.1:${context.port()}`, desc: `conn${context.connectionId}`, connectionId: context.connectionId, active: true, op: 'command', ns: `${context.db}.$cmd`, command: context.command };
  return [own, ...(idleCursors ? context.cursors.idle().map(({ id, ns }) => ({ type: 'idleCursor', host: own.host, ns, cursor: { cursorId: id } })) : [])];
}

export function currentOp(context: CommandContext): Doc {
  return { inprog: operations(context, false), ok: 1 };
}
