/** Moves of posts as MongoDB stores them: each a compare-and-swap on the version that was read, with its events in the same write. */
import type { AnyBulkWriteOperation, Collection, Filter, UpdateFilter } from 'mongodb';
import { refusedParts } from '../db/database.js';
import { newToken } from '../lib/ids.js';
import type { PostDoc } from './post-doc.js';
import { earliestDue, stepsOf, type Change, type Post, type Publication } from './post.js';
import { intentKey, intentUpdate } from './post-intents.js';
import { packEvents } from './stored-events.js';

interface Cas {
  filter: Filter<PostDoc>;
  update: UpdateFilter<PostDoc>;
}

/** A statement of one command, for one move or for several that are alike. */
interface Statement {
  q: Filter<PostDoc>;
  u: UpdateFilter<PostDoc>;
  multi?: true;
}

/** Longest text, in characters, that a move of a big batch may hold: a command may have 16 MiB, at 500 moves with up to 3 bytes for each character. */
const PLAIN_CHARACTERS = 8_000;

/**
 * Stores many moves in one round trip. @returns for each, in order: whether it won, or what MongoDB has against it
 * @throws when nobody knows what was stored
 */
export function saveAll(posts: Collection<PostDoc>, changes: readonly Change[]): Promise<(boolean | Error)[]> {
  return saveTogether(posts, changes, true);
}

/** @param joinsAlike false: each in a statement of its own */
async function saveTogether(posts: Collection<PostDoc>, changes: readonly Change[], joinsAlike: boolean): Promise<(boolean | Error)[]> {
  if (changes.length === 0) return [];
  const writer = newToken(9);
  const { matched, refused, joined } = changes.every(isPlain) ? await asOneCommand(posts, changes, writer, joinsAlike) : await asBulk(posts, changes.map((change) => casOf(change, writer)));
  if (matched === changes.length) return changes.map(() => true);
  const docs = await posts.find({ _id: { $in: changes.map((change) => change.before.id) } }, { projection: { writer: 1 } }).toArray();
  const won = new Set(docs.filter((doc) => doc.writer === writer).map((doc) => doc._id));
  const answers = changes.map((change, i) => won.has(change.before.id) || (refused.get(i) ?? false));
  // One that MongoDB refuses keeps those that come after it in its statement from being stored.
  const held = changes.map((_, i) => i).filter((i) => answers[i] !== true && joined.has(i));
  const again = await saveTogether(posts, held.map((i) => changes[i]!), false);
  held.forEach((place, i) => {
    answers[place] = again[i]!;
  });
  return answers;
}

const NONE: ReadonlySet<number> = new Set();

interface Saved {
  /** How many were found as they were expected; -1: to be counted. */
  matched: number;
  /** By the move's place. */
  refused: ReadonlyMap<number, Error>;
  /** The places of those that shared a statement which was refused. */
  joined: ReadonlySet<number>;
}

/** The driver's bulk write serializes each part by itself, which takes as long as all else that it does for a post. Not repeated by the driver: who saves does that. */
async function asOneCommand(posts: Collection<PostDoc>, changes: readonly Change[], writer: string, joinsAlike: boolean): Promise<Saved> {
  const { writeConcern } = posts;
  const { statements, placesOf } = statementsOf(changes, writer, joinsAlike);
  const answer = await posts.db.command({
    update: posts.collectionName,
    updates: statements,
    ordered: false,
    ...(writeConcern === undefined ? {} : { writeConcern: { w: writeConcern.w } }),
  }) as { n: number; writeErrors?: { index: number; errmsg: string }[]; writeConcernError?: { errmsg: string } };
  if (answer.writeConcernError !== undefined) throw new Error(`the moves are perhaps not on disk: ${answer.writeConcernError.errmsg}`);
  const refused = answer.writeErrors ?? [];
  return {
    matched: answer.n,
    refused: new Map(refused.flatMap(({ index, errmsg }) => placesOf[index]!.map((place) => [place, refusal(errmsg)]))),
    joined: new Set(refused.flatMap(({ index }) => (placesOf[index]!.length > 1 ? placesOf[index]! : []))),
  };
}

/** In the order in which they were asked for, except that intents which are alike join the first of them. */
function statementsOf(changes: readonly Change[], writer: string, joinsAlike: boolean): { statements: Statement[]; placesOf: number[][] } {
  const statements: Statement[] = [];
  const placesOf: number[][] = [];
  const intents = new Map<string, { ids: string[]; places: number[] }>();
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i]!;
    const { id, version, lease } = change.before;
    const key = joinsAlike ? intentKey(change) : null;
    const alike = key === null ? undefined : intents.get(key);
    if (alike !== undefined) {
      alike.ids.push(id);
      alike.places.push(i);
      continue;
    }
    const places = [i];
    placesOf.push(places);
    if (key === null) {
      const { filter: q, update: u } = casOf(change, writer);
      statements.push({ q, u });
      continue;
    }
    const ids = [id];
    intents.set(key, { ids, places });
    statements.push({ q: { _id: { $in: ids }, version, 'lease.token': lease!.token } as Filter<PostDoc>, u: intentUpdate(change, writer), multi: true });
  }
  return { statements, placesOf };
}

function refusal(why: string | undefined): Error {
  return new Error(`a move could not be stored: ${why ?? 'MongoDB did not say why'}`);
}

/** Splits what is too big for one command. */
async function asBulk(posts: Collection<PostDoc>, moves: readonly Cas[]): Promise<Saved> {
  const operations = moves.map((move): AnyBulkWriteOperation<PostDoc> => ({ updateOne: move }));
  try {
    return { matched: (await posts.bulkWrite(operations, { ordered: false })).matchedCount, refused: new Map(), joined: NONE };
  } catch (error) {
    return { matched: -1, refused: new Map(refusedParts(error).map(({ index, errmsg }) => [index, refusal(errmsg)])), joined: NONE };
  }
}

/** Certainly small: most moves of most posts are. */
function isPlain({ before, after, events }: Change): boolean {
  if (after.text !== before.text || after.media !== before.media || after.options !== before.options || after.notes !== before.notes) return false;
  let characters = after.text.length * Math.min(events.length, 1);
  for (const { followUps, root, attempts, url, handle, remoteId, failure } of after.publications) {
    if (followUps !== undefined || root !== undefined || attempts.length > 8) return false;
    characters += 600 + (url?.length ?? 0) + (handle?.length ?? 0) + (remoteId?.length ?? 0) + 2 * lengthOf(failure);
    for (const attempt of attempts) characters += 200 + lengthOf(attempt.failure);
  }
  for (let i = before.history.length; i < after.history.length; i++) characters += 200 + (after.history[i]!.detail?.length ?? 0);
  return characters <= PLAIN_CHARACTERS;
}

function lengthOf(failure: Publication['failure']): number {
  return failure === null ? 0 : failure.message.length + (failure.details?.length ?? 0);
}

/**
 * Only what differs is written: a move makes new versions of what it changes and shares the rest, so sameness is identity. Two of these are made
 * for each post that goes out: they are built in place, without copies.
 */
export function casOf({ before, after, events }: Change, writer: string): Cas {
  const set = changedFields(before, after);
  set.writer = writer;
  // An intent before it may have left it unsaid.
  if (after.status === 'publishing') set.status = after.status;
  const unset: Record<string, ''> = {};
  const push: Record<string, { $each: unknown[] }> = {};
  const isFree = after.lease === null;
  if (isFree) putWaits(set, after.publications);
  // A leased post has none of these, and nobody else could have given it one without taking the lease.
  if (before.lease === null) for (const name of WAITS) if (set[name] === undefined) unset[name] = '';
  if (isFree && before.lease !== null) unset['lease'] = '';
  if (events.length > 0) {
    set.outboxAt = events[0]!.at;
    push['outbox'] = { $each: packEvents(events) };
  }
  if (after.history.length > before.history.length) push['history'] = { $each: after.history.slice(before.history.length) };
  const update: UpdateFilter<PostDoc> = { $set: set, $inc: ONE_VERSION };
  if (Object.keys(unset).length > 0) Object.assign(update, { $unset: unset });
  if (Object.keys(push).length > 0) Object.assign(update, { $push: push });
  const filter: Filter<PostDoc> = { _id: before.id, version: before.version };
  if (before.lease !== null) filter['lease.token'] = before.lease.token;
  return { filter, update };
}

const ONE_VERSION = { version: 1 } as const;
const WAITS = ['dueAt', 'heldFor'] as const;

/** What lets an unleased post be found for what is still to be done of it. */
export function putWaits(fields: Partial<Pick<PostDoc, 'dueAt' | 'heldFor'>>, publications: readonly Publication[]): void {
  const due = earliestDue(publications);
  if (due !== null) fields.dueAt = due;
  const channels = publications.filter((publication) => stepsOf(publication).some(({ state }) => state === 'held')).map(({ channelId }) => channelId);
  if (channels.length > 0) fields.heldFor = [...new Set(channels)];
}

/** Without what is moved otherwise. */
const MOVED_APART: ReadonlySet<string> = new Set<keyof Post>(['id', 'dueAt', 'lease', 'version', 'history']);

function changedFields(before: Post, after: Post): Partial<PostDoc> {
  const changed: Partial<PostDoc> = {};
  for (const name in after) {
    const field = name as keyof Post;
    if (after[field] !== before[field] && !MOVED_APART.has(name)) (changed as Record<string, unknown>)[field] = after[field];
  }
  return changed;
}
