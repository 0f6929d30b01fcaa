/** Takes published posts down at their networks, one publication at a time; what can't be taken down is said, never guessed. */
import type { Logger } from '../lib/logger.js';
import { PlatformFailure, type Credentials, type Platform } from '../platforms/platform.js';
import { findPlatform } from '../platforms/registry.js';
import type { Post, Publication } from '../posts/post.js';
import type { Removal } from '../posts/post-service.js';
import type { ChannelSession } from './task.js';

export interface TakeDownDeps {
  /** Null: the channel is disconnected. @throws PlatformFailure when its token could not be refreshed */
  session(channelId: string): Promise<ChannelSession | null>;
  /** The network refused these credentials. `renewed`: it can be tried again at once. */
  markSignedOut(channelId: string, problem: string, refused: Credentials): Promise<'renewed' | 'signed-out'>;
  log: Logger;
}

/** A network that does not answer in this time is asked again by whoever deletes again. */
const LIMIT_MS = 30_000;

/** @returns one row for each publication that is or may be public; adapters take what is already gone for done, so it can be repeated */
export function createTakeDown(deps: TakeDownDeps): (post: Post) => Promise<Removal[]> {
  return (post) => Promise.all(post.publications.filter((p) => p.state === 'published' || p.state === 'unconfirmed').map((p) => takeDown(post, p, deps)));
}

async function takeDown(post: Post, publication: Publication, deps: TakeDownDeps): Promise<Removal> {
  const { id: publicationId, platform, remoteId } = publication;
  const stays = (message: string): Removal => ({ publicationId, platform, removed: false, message });
  if (publication.state === 'unconfirmed') return stays('Nobody can tell whether it is public. Look at your profile there; delete it by hand, then send markManualDeleted.');
  if (remoteId === null) return stays("Signpost doesn't know under which id it is public. Delete it there by hand, then send markManualDeleted.");
  try {
    const session = await deps.session(publication.channelId);
    if (session === null) return stays('Its channel is disconnected. Connect it again, or delete it at the network and send markManualDeleted.');
    const { remove, name } = session.platform;
    if (remove === undefined) return stays(`${name} does not let programs delete posts. Delete it there, then send markManualDeleted.`);
    try {
      await removeAll(publication, remoteId, session);
    } catch (error) {
      if (!(error instanceof PlatformFailure) || error.kind !== 'signed-out') throw error;
      if ((await deps.markSignedOut(publication.channelId, error.message, session.credentials)) !== 'renewed') throw error;
      await removeAll(publication, remoteId, (await deps.session(publication.channelId)) ?? session);
    }
    return { publicationId, platform, removed: true };
  } catch (error) {
    if (error instanceof PlatformFailure) return stays(whyItStays(error, findPlatform(platform)?.name ?? platform));
    deps.log.error({ err: error, postId: post.id }, 'a post could not be taken down');
    return stays('Something unexpected happened while the network was asked. Try again in a moment.');
  }
}

/** From the last item to the root, so that what a failure leaves behind is still a thread. What is gone already counts as removed, so it can be repeated. */
async function removeAll(publication: Publication, remoteId: string, { platform, credentials, io }: ChannelSession): Promise<void> {
  for (const id of [...ownPostsAfter(publication, platform), remoteId]) await inTime(platform.remove!.remove(id, credentials, io), platform.name);
}

/** What failures say is for posts that wait: nothing is deleted by itself later. */
function whyItStays({ kind, message }: PlatformFailure, name: string): string {
  if (kind === 'rejected') return message;
  if (kind === 'signed-out') return `${name} no longer accepts this channel's sign-in. Connect the channel again, then delete the post again.`;
  return `${name} ${kind === 'rate-limited' ? 'takes no more requests from this channel for now' : 'gave no usable answer'}, so the post may still be there. Delete it again in a moment.`;
}

/** A thread's items, and comments where those are posts: networks keep them when the post above is gone. Other comments go with it. */
function ownPostsAfter({ followUps = [] }: Publication, { comment }: Platform): string[] {
  const own = followUps.filter((step) => step.kind === 'reply' || comment?.limits === undefined);
  return own.flatMap(({ state, remoteId: id }) => (state === 'published' && id !== null ? [id] : [])).reverse();
}

async function inTime(call: Promise<void>, name: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PlatformFailure('unknown', `${name} did not answer in time.`)), LIMIT_MS);
  });
  try {
    await Promise.race([call, limit]);
  } finally {
    clearTimeout(timer);
  }
}
