/** Makes a simulated post; whether and when it becomes public follows from the network's kind and the fault that was asked for. */
import type { SimulatedCall } from './network.js';
import type { SimulatedPost } from './world.js';

interface Fields {
  network: string;
  id: string;
  text: string;
  media: string[];
  /** The network's handle, when it processes before publishing. */
  handle?: string;
  parentId?: string | null;
  /** Why its processing fails, in the network's word, when that fault was asked for. */
  failReason?: string;
  /** Kept back until then, or for ever (null), because that was asked for. */
  keptBackUntil?: number | null;
  extra?: Record<string, unknown>;
}

/** Journals the post and returns it. */
export function acceptPost({ world, account, now, settings, effect }: SimulatedCall, fields: Fields): SimulatedPost {
  const doneAt = now + (fields.handle === undefined && effect !== 'late' ? 0 : settings.processingMs);
  const isDoomed = fields.handle !== undefined && (effect === 'stuck' || effect === 'processing-fails');
  const post: SimulatedPost = {
    network: fields.network, id: fields.id, accountId: account.id, text: fields.text, media: fields.media, acceptedAt: now,
    publicAt: isDoomed ? null : fields.keptBackUntil === undefined ? doneAt : fields.keptBackUntil, failsAt: isDoomed && effect === 'processing-fails' ? doneAt : null,
    failReason: isDoomed && effect === 'processing-fails' ? (fields.failReason ?? 'internal') : null,
    deletedAt: null, handle: fields.handle ?? null, parentId: fields.parentId ?? null, extra: fields.extra ?? {},
  };
  world.put('post', post);
  return post;
}

/** Posts whose text asks the reader for a source, see `placeholderMedia`. */
const PLACEHOLDER = /^signpost placeholder for (\S+)/;

/** Where uploaded bytes say that they come from. */
export function sourceOf(raw: Buffer): string {
  return PLACEHOLDER.exec(raw.subarray(0, 4000).toString('utf8'))?.[1] ?? `${raw.length} bytes`;
}
