/** Comments on a simulated post: kept with it, newest first, found by the id of the post. */
import type { SimulatedCall } from './network.js';
import type { SimulatedPost } from './world.js';

export interface SimulatedComment {
  id: string;
  text: string;
  at: number;
}

/** @returns null when there is no such post */
export function addComment({ world, now }: SimulatedCall, network: string, postId: string, comment: Omit<SimulatedComment, 'at'>): SimulatedComment | null {
  const post = world.find('post', network, postId);
  if (post === undefined || post.deletedAt !== null) return null;
  const added = { ...comment, at: now };
  world.put('post', { ...post, extra: { ...post.extra, comments: [added, ...commentsOf(post)] } });
  return added;
}

/** Empty when there is no such post. */
export function commentsOn({ world }: SimulatedCall, network: string, postId: string): SimulatedComment[] {
  const post = world.find('post', network, postId);
  return post === undefined ? [] : commentsOf(post);
}

function commentsOf({ extra }: SimulatedPost): SimulatedComment[] {
  return (extra['comments'] as SimulatedComment[] | undefined) ?? [];
}
