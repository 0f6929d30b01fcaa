/** Events as a post's outbox keeps them: those of one write tell of the same snapshot, which is serialized and stored once. */
import type { PostEvent, PostEventData } from './post.js';

/** `data` is JSON (as a whole document in earlier versions); `asBefore`: that of the event before it, but for whose publication it is. */
export type StoredEvent = Omit<PostEvent, 'data'> & { data: string | PostEventData | { asBefore: true; publicationId?: string } };

/** @param events of one write, in order */
export function packEvents(events: readonly PostEvent[]): StoredEvent[] {
  return events.map((event, i): StoredEvent => {
    if (i === 0 || events[i - 1]!.data.publications !== event.data.publications) return { ...event, data: JSON.stringify(event.data) };
    const { publicationId } = event.data;
    return { ...event, data: { asBefore: true, ...(publicationId === undefined ? {} : { publicationId }) } };
  });
}

/** @param stored a whole outbox, in order */
export function unpackEvents(stored: readonly StoredEvent[]): PostEvent[] {
  let before: PostEventData | null = null;
  return stored.map((event): PostEvent => {
    const data = typeof event.data === 'string' ? (JSON.parse(event.data) as PostEventData) : event.data;
    if (!('asBefore' in data)) {
      before = data;
      return { ...event, data };
    }
    if (before === null) throw new Error(`event ${event.id} refers to one before it, and there is none`);
    const { publicationId: _, ...common } = before;
    return { ...event, data: { ...common, ...(data.publicationId === undefined ? {} : { publicationId: data.publicationId }) } };
  });
}
