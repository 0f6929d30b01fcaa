/** The list page's address: which tab, and from where on. */
import { z } from 'zod';
import type { Post, PostStatus } from './post.js';
import type { PostCursor, PostListFilter } from './post-store.js';

interface Tab {
  id: string;
  name: string;
  status: PostStatus | null;
  order: NonNullable<PostListFilter['order']>;
}

/** In the order in which they are shown. */
export const TABS: readonly Tab[] = [
  { id: 'all', name: 'All', status: null, order: 'newest' },
  { id: 'scheduled', name: 'Scheduled', status: 'scheduled', order: 'soonest' },
  { id: 'paused', name: 'Paused', status: 'paused', order: 'soonest' },
  { id: 'publishing', name: 'Publishing', status: 'publishing', order: 'soonest' },
  { id: 'success', name: 'Published', status: 'success', order: 'latest' },
  { id: 'partial', name: 'Partly published', status: 'partial', order: 'latest' },
  { id: 'error', name: 'Failed', status: 'error', order: 'latest' },
  { id: 'deleted', name: 'Cancelled', status: 'deleted', order: 'latest' },
];

export const PAGE_SIZE = 25;

/** What is mistyped in an address falls back to the first page of all posts. */
export const listQuerySchema = z.object({
  status: z.enum(TABS.map((tab) => tab.id)).catch('all').default('all'),
  after: z.string().regex(/^\d{1,15}\.[A-Za-z0-9_-]{1,64}$/).optional().catch(undefined),
});

export type ListQuery = z.infer<typeof listQuerySchema>;

export function tabOf(query: ListQuery): Tab {
  return TABS.find((tab) => tab.id === query.status) ?? TABS[0]!;
}

/** One more than a page, so that it shows whether another follows. */
export function toListFilter(query: ListQuery): Omit<PostListFilter, 'profileId'> {
  const { status, order } = tabOf(query);
  const after = query.after === undefined ? undefined : readCursor(query.after);
  return { order, limit: PAGE_SIZE + 1, ...(status === null ? {} : { statuses: [status] }), ...(after === undefined ? {} : { after }) };
}

function readCursor(text: string): PostCursor {
  const dot = text.indexOf('.');
  return { at: new Date(Number(text.slice(0, dot))), id: text.slice(dot + 1) };
}

export function cursorOf(query: ListQuery, post: Post): string {
  const at = tabOf(query).order === 'newest' ? post.createdAt : post.scheduledAt;
  return `${at.getTime()}.${post.id}`;
}
