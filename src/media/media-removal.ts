/** How uploaded files end: deleted when no post needs them, or cleared away when they were left half done. */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import type { MediaFiles } from './media-files.js';
import type { KeptFile, MediaStore, MediaUse } from './media-store.js';
import type { MediaUsageStore, OpenMove } from './media-usage-store.js';

export interface MediaRemovalDeps {
  store: MediaStore;
  usage: MediaUsageStore;
  files: MediaFiles;
  clock: Clock;
  log: Logger;
  notifier: Notifier;
  /** Of those of these posts that are stored: whether anything of it is still to be sent, and which uploads it names. */
  postsWith(postIds: string[]): Promise<Map<string, { waits: boolean; mediaIds: string[] }>>;
}

export type MediaRemoval = ReturnType<typeof createMediaRemoval>;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Whoever takes something in hand has this long before somebody else does. */
const IN_HAND_MS = 10 * MINUTE_MS;
/** A post that is written with a file is stored within this time, or never. */
const WRITING_MS = 2 * MINUTE_MS;
/** Moves of room that are older were left by a process that died; longer than a file may take to be put in place. */
const MOVING_MS = 120 * MINUTE_MS;
/** The same for bytes that are still coming in; servers end requests much sooner. */
const RECEIVING_MS = 6 * 60 * MINUTE_MS;
const TRIES = 8;
const USES_AT_ONCE = 500;
const DUE_AT_ONCE = 200;

export function createMediaRemoval(deps: MediaRemovalDeps) {
  const { store, usage, files, clock } = deps;
  const later = (ms: number): Date => new Date(clock.now().getTime() + ms);

  /** Takes a file out of the world: its bytes, its room, its document. May be repeated. */
  async function finish(file: KeptFile): Promise<void> {
    await files.remove(file.id);
    if (file.isCounted) await usage.giveBack(file.accountId, file, clock.now());
    else await usage.undoTake(file.accountId, file);
    await store.forget(file.id);
    await usage.givenBack(file.accountId, file.id);
    deps.notifier.notify(`account:${file.accountId}:billing`);
  }

  /** Is there a post that waits and names it, or one that is being written with it this moment? */
  async function isInUse(mediaId: string): Promise<boolean> {
    const young = later(-WRITING_MS);
    for (let after = ''; ; ) {
      const uses = await store.listUses(mediaId, USES_AT_ONCE, after);
      const posts = await deps.postsWith(uses.map(({ postId }) => postId));
      const needsIt = ({ postId, at }: MediaUse): boolean => {
        const post = posts.get(postId);
        if (post?.waits === false) return false;
        return at > young || post?.mediaIds.includes(mediaId) === true;
      };
      if (uses.some(needsIt)) return true;
      if (uses.length < USES_AT_ONCE) return false;
      after = uses.at(-1)!.postId;
    }
  }

  /** @returns false when a post needs it */
  async function removeUnused(id: string): Promise<boolean> {
    for (let i = 0; i < TRIES; i++) {
      const file = await store.find(id);
      if (file === null || file.state !== 'stored') return true;
      if (await isInUse(id)) return false;
      if (!(await store.beginRemoval(file, later(IN_HAND_MS)))) continue;
      await finish({ ...file, state: 'deleting' });
      return true;
    }
    // Written with again and again meanwhile.
    return false;
  }

  /** Ends a file that was left half done. */
  async function clear(file: KeptFile): Promise<void> {
    const inHandUntil = later(IN_HAND_MS);
    const isMine = file.state === 'deleting' ? await store.postpone(file, inHandUntil) : await store.giveUp(file, inHandUntil);
    if (isMine) await finish(file);
  }

  async function expire(file: KeptFile): Promise<void> {
    const inHandUntil = later(IN_HAND_MS);
    if (!(await store.postpone(file, inHandUntil))) return;
    if (!(await removeUnused(file.id))) await store.postpone({ ...file, dueAt: inHandUntil }, later(DAY_MS));
  }

  /** Ends a move of room whose process died between two documents. */
  async function endMove({ accountId, mediaId, isTaking, bytes }: OpenMove): Promise<void> {
    const file = await store.find(mediaId);
    if (isTaking && file === null) await usage.undoTake(accountId, { id: mediaId, bytes });
    else if (isTaking && file?.isCounted === true) await usage.taken(accountId, mediaId);
    else if (!isTaking && file === null) await usage.givenBack(accountId, mediaId);
  }

  return {
    removeUnused,
    clear,

    /** Ends what a dead process left, and files whose time is over and that no post needs. */
    async sweep(): Promise<void> {
      for (const file of await store.listDue(clock.now(), DUE_AT_ONCE)) {
        const ended = file.state === 'stored' ? expire(file) : clear(file);
        await ended.catch((error: unknown) => deps.log.error({ err: error, mediaId: file.id }, 'an uploaded file could not be cleared away; the sweep tries again'));
      }
      for (const move of await usage.listOpen(later(-MOVING_MS), DUE_AT_ONCE)) await endMove(move);
      // By the clock of the disk, which tests don't turn.
      await files.sweep(new Date(Date.now() - RECEIVING_MS));
    },
  };
}
