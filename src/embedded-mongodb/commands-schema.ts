/** The commands on collections, indexes and databases. */
import { isObject, equals } from './bson-order.js';
import type { Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { checkName, type Collection } from './catalog.js';
import { CommandError, failedToParse, typeMismatch } from './command-error.js';
import { collectionName, countArgument, docArgument, findCollection, refuseCollation, type CommandContext } from './command-context.js';
import { firstBatch } from './commands-read.js';
import type { Index } from './index-definition.js';
import { compileFilter, truthy } from './match.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { sameKey } from './plan.js';

export function create(context: CommandContext): Doc {
  const name = collectionName(context);
  refuseCollation(context.command);
  for (const option of ['capped', 'timeseries', 'viewOn', 'validator', 'clusteredIndex', 'encryptedFields']) {
    if (truthy(context.command[option])) throw new CommandError(238, `${option} is not supported by this server`);
  }
  if (context.catalog.find(`${context.db}.${name}`)) throw new CommandError(48, `Collection ${context.db}.${name} already exists.`);
  context.catalog.create(context.db, name, {});
  return { ok: 1 };
}

export function drop(context: CommandContext): Doc {
  const collection = findCollection(context);
  if (!collection) return { ok: 1 };
  const nIndexesWas = collection.indexes.length;
  context.catalog.drop(collection);
  return { nIndexesWas, ns: collection.ns, ok: 1 };
}

export function dropDatabase(context: CommandContext): Doc {
  const gone = [...context.catalog.collections.values()].filter((collection) => collection.db === context.db);
  for (const collection of gone) context.catalog.drop(collection);
  return gone.length > 0 ? { dropped: context.db, ok: 1 } : { ok: 1 };
}

export function renameCollection(context: CommandContext): Doc {
  const { command, catalog } = context;
  const [from, to] = [command['renameCollection'], command['to']];
  if (typeof from !== 'string' || typeof to !== 'string') throw typeMismatch('renameCollection needs two namespaces');
  const source = catalog.find(from);
  if (!source) throw new CommandError(26, `Source collection ${from} does not exist`);
  if (from === to) throw new CommandError(20, "Can't rename a collection to itself");
  const dot = to.indexOf('.');
  checkName(to.slice(0, dot), to.slice(dot + 1));
  const target = catalog.find(to);
  if (target && !truthy(command['dropTarget'])) throw new CommandError(48, 'target namespace exists');
  if (target) catalog.drop(target);
  catalog.rename(source, to.slice(0, dot), to.slice(dot + 1));
  return { ok: 1 };
}

const INDEX_OPTIONS = new Set(['key', 'name', 'v', 'ns', 'unique', 'sparse', 'partialFilterExpression', 'expireAfterSeconds', 'background', 'dropDups', 'hidden', 'collation']);

export async function createIndexes(context: CommandContext): Promise<Doc> {
  const name = collectionName(context);
  const specs = context.command['indexes'];
  if (!Array.isArray(specs) || specs.length === 0) throw new CommandError(2, 'Must specify at least one index to create');
  const parsed = (specs as unknown[]).map(parseIndexSpec);
  const createdCollectionAutomatically = !context.catalog.find(`${context.db}.${name}`);
  const collection = context.catalog.getOrCreate(context.db, name);
  const numIndexesBefore = collection.indexes.filter((index) => index.ready).length;
  const added: Index[] = [];
  for (const spec of parsed) if (!existing(collection, spec)) added.push(context.catalog.addIndex(collection, spec, false));
  const unfinished = collection.indexes.filter((index) => !index.ready && parsed.some((spec) => spec['name'] === index.name));
  await Promise.all(unfinished.map((index) => context.builder.build(collection, index.id)));
  const reply: Doc = { numIndexesBefore, numIndexesAfter: collection.indexes.filter((index) => index.ready).length, createdCollectionAutomatically, ok: 1 };
  if (added.length === 0) reply['note'] = 'all indexes already exist';
  return reply;
}

const ID_INDEX_OPTIONS = new Set(['key', 'name', 'v', 'ns', 'collation']);

/** @throws CommandError 67, 197, 9 when MongoDB would not take the specification. */
function parseIndexSpec(value: unknown): Doc {
  if (!isObject(value)) throw typeMismatch('each index must be an object');
  const key = value['key'];
  if (!isObject(key) || Object.keys(key).length === 0) throw new CommandError(67, 'Index keys cannot be empty.');
  if (typeof value['name'] !== 'string' || value['name'] === '') throw failedToParse("The 'name' field is a required property of an index specification");
  if (value['name'].includes('\0') || Buffer.byteLength(value['name']) > 255) throw new CommandError(67, 'an index name cannot contain null bytes nor be longer than 255 bytes');
  refuseCollation(value);
  for (const option of Object.keys(value)) if (!INDEX_OPTIONS.has(option)) throw new CommandError(197, `The field '${option}' is not valid for an index specification`);
  for (const [path, direction] of Object.entries(key)) checkKeyPart(path, direction);
  if (Object.keys(key).length === 1 && Number(key['_id']) === 1) for (const option in value) if (!ID_INDEX_OPTIONS.has(option)) throw new CommandError(197, `The field '${option}' is not valid for an _id index specification.`);
  if (Object.values(key).filter((direction) => direction === 'hashed').length > 1) throw new CommandError(31303, 'A maximum of one index field is allowed to be hashed');
  if (Object.values(key).includes('hashed') && truthy(value['unique'])) throw new CommandError(16764, 'Currently hashed indexes cannot guarantee uniqueness. Use a regular index.');
  const spec: Doc = { v: 2, key, name: value['name'] };
  for (const option of ['unique', 'sparse', 'hidden']) if (truthy(value[option])) spec[option] = true;
  if ('background' in value) spec['background'] = value['background'];
  if (value['partialFilterExpression'] !== undefined) {
    spec['partialFilterExpression'] = docArgument(value, 'partialFilterExpression');
    checkPartial(spec['partialFilterExpression'] as Doc);
    if (spec['sparse']) throw new CommandError(67, "cannot mix 'partialFilterExpression' and 'sparse' options");
  }
  if (value['expireAfterSeconds'] !== undefined) addExpiry(spec, value['expireAfterSeconds'], key);
  return spec;
}

function addExpiry(spec: Doc, value: unknown, key: Doc): void {
  const seconds = wholeNumber(value);
  if (seconds === null) throw new CommandError(67, `TTL index 'expireAfterSeconds' option must be numeric, but received a type of '${bsonTypeName(value)}'`);
  if (seconds < 0 || seconds > 2147483647) throw new CommandError(67, `TTL index 'expireAfterSeconds' option must be within an acceptable range, try a different number than ${seconds}`);
  if (Object.keys(key).length > 1) throw new CommandError(67, 'TTL indexes are single-field indexes, compound indexes do not support TTL.');
  spec['expireAfterSeconds'] = seconds;
}

function checkKeyPart(path: string, direction: unknown): void {
  if (direction === 'hashed') return;
  if (typeof direction === 'string') throw new CommandError(67, `this server has no '${direction}' indexes`);
  if (path === '$**' || path.endsWith('.$**')) throw new CommandError(67, 'this server has no wildcard indexes');
  if (path === '' || path.split('.').includes('') || path.startsWith('$')) throw new CommandError(67, `Index key contains an illegal field name: ${path}`);
  const number = wholeNumber(direction) ?? Number(direction);
  if (!Number.isFinite(number) || number === 0) throw new CommandError(67, `Values in v:2 index key pattern must be numbers other than 0`);
  if (path.includes('$**')) throw new CommandError(67, 'this server has no wildcard indexes');
}

const PARTIAL_OPERATORS = new Set(['$eq', '$gt', '$gte', '$lt', '$lte', '$exists', '$type', '$in', '$and', '$or']);

function checkPartial(filter: Doc): void {
  for (const [name, operand] of Object.entries(filter)) {
    if (name === '$and' || name === '$or') for (const part of operand as Doc[]) checkPartial(part);
    else if (name.startsWith('$')) throw new CommandError(67, `unsupported expression in partial index: ${name}`);
    else if (isObject(operand)) {
      for (const operator of Object.keys(operand)) {
        const outside = !PARTIAL_OPERATORS.has(operator) || (operator === '$exists' && !truthy(operand[operator]));
        if (operator.startsWith('$') && outside) throw new CommandError(67, `unsupported expression in partial index: ${operator}`);
      }
    }
  }
  compileFilter(filter);
}

/** Whether the index is there already. @throws CommandError 85, 86 when one with its name or keys differs. */
function existing(collection: Collection, spec: Doc): boolean {
  const key = spec['key'] as Doc;
  if (sameKey(key, { _id: 1 })) return true;
  for (const index of collection.indexes) {
    const sameName = index.name === spec['name'];
    const samePattern = sameKey(index.key, key) && equals(index.partial ?? null, spec['partialFilterExpression'] ?? null);
    if (sameName && samePattern) {
      if (sameOptions(index.spec, spec)) return true;
      throw new CommandError(86, `An equivalent index already exists with the same name but different options. Requested index: ${JSON.stringify(spec)}, existing index: ${JSON.stringify(index.spec)}`);
    }
    if (sameName) throw new CommandError(86, `An existing index has the same name as the requested index. When index names are not specified, they are auto generated and can cause conflicts. Please refer to our documentation. Requested index: ${JSON.stringify(spec)}, existing index: ${JSON.stringify(index.spec)}`);
    if (samePattern) throw new CommandError(85, `Index already exists with a different name: ${index.name}`);
  }
  return false;
}

function sameOptions(a: Doc, b: Doc): boolean {
  return ['unique', 'sparse', 'expireAfterSeconds'].every((option) => equals(a[option] ?? null, b[option] ?? null));
}

export function dropIndexes(context: CommandContext): Doc {
  const collection = requireCollection(context);
  const wanted = context.command['index'];
  const nIndexesWas = collection.indexes.length;
  const gone = wanted === '*' ? collection.indexes.filter((index) => index.name !== '_id_') : (Array.isArray(wanted) ? wanted : [wanted]).map((one) => indexNamed(collection, one));
  for (const index of gone) context.catalog.dropIndex(collection, index);
  return { nIndexesWas, ok: 1 };
}

function indexNamed(collection: Collection, wanted: unknown): Index {
  const found = collection.indexes.find((index) => (isObject(wanted) ? sameKey(index.key, wanted) : index.name === wanted));
  if (!found) throw new CommandError(27, isObject(wanted) ? `can't find index with key: ${JSON.stringify(wanted)}` : `index not found with name [${String(wanted)}]`);
  if (found.name === '_id_') throw new CommandError(72, 'cannot drop _id index');
  return found;
}

export function requireCollection(context: CommandContext): Collection {
  const collection = findCollection(context);
  if (!collection) throw new CommandError(26, `ns does not exist: ${context.db}.${collectionName(context)}`);
  return collection;
}

function listReply(context: CommandContext, ns: string, docs: Doc[]): Doc | Promise<Doc> {
  const encoded = docs.map((doc) => encode(doc));
  let at = 0;
  const cursor = docArgument(context.command, 'cursor');
  return firstBatch(context, ns, { next: () => encoded[at++] ?? null, atEnd: () => at >= encoded.length }, countArgument(cursor, 'batchSize', 101), false);
}

export function listIndexes(context: CommandContext): Doc | Promise<Doc> {
  const collection = requireCollection(context);
  return listReply(context, collection.ns, collection.indexes.map((index) => index.spec));
}

export function listCollections(context: CommandContext): Doc | Promise<Doc> {
  const filter = docArgument(context.command, 'filter');
  const match = compileFilter(filter);
  const nameOnly = truthy(context.command['nameOnly']);
  const docs = [...context.catalog.collections.values()]
    .filter((collection) => collection.db === context.db)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((collection): Doc => {
      const full = { name: collection.name, type: 'collection', options: collection.options, info: { readOnly: false, uuid: collection.uuid }, idIndex: collection.indexes[0]!.spec };
      return full;
    })
    .filter(match)
    .map((full) => (nameOnly ? { name: full['name'], type: full['type'] } : full));
  return listReply(context, `${context.db}.$cmd.listCollections`, docs);
}

export function listDatabases(context: CommandContext): Doc {
  const sizes = new Map<string, number>();
  for (const collection of context.catalog.collections.values()) sizes.set(collection.db, (sizes.get(collection.db) ?? 0) + collection.bytes);
  const match = compileFilter(docArgument(context.command, 'filter'));
  const databases = [...sizes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, bytes]): Doc => ({ name, sizeOnDisk: bytes, empty: false })).filter(match);
  if (truthy(context.command['nameOnly'])) return { databases: databases.map(({ name }) => ({ name })), ok: 1 };
  const totalSize = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { databases, totalSize, totalSizeMb: Math.floor(totalSize / 1048576), ok: 1 };
}

const COLL_MOD_FIELDS = new Set(['name', 'keyPattern', 'expireAfterSeconds', 'hidden']);

export function collMod(context: CommandContext): Doc {
  const collection = requireCollection(context);
  const change = context.command['index'];
  if (!isObject(change)) throw new CommandError(238, 'collMod changes only indexes on this server');
  for (const name of Object.keys(change)) if (!COLL_MOD_FIELDS.has(name)) throw new CommandError(238, `collMod cannot change ${name} of an index on this server`);
  const index = indexNamed(collection, change['name'] ?? change['keyPattern']);
  if (change['expireAfterSeconds'] !== undefined) {
    addExpiry(index.spec, change['expireAfterSeconds'], index.key);
    index.expireAfterSeconds = index.spec['expireAfterSeconds'] as number;
  }
  if (change['hidden'] !== undefined) {
    index.hidden = truthy(change['hidden']);
    index.spec['hidden'] = index.hidden;
  }
  context.catalog.save(collection);
  return { ok: 1 };
}
