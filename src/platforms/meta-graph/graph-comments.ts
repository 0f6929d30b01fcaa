/** Comments through the Graph API: written, and found again after an answer that got lost. */
import { z } from 'zod';
import { ask, type NetworkCall } from '../network-call.js';
import type { PlatformIo } from '../platform.js';
import { graphFailure } from './graph-failures.js';

interface CommentApi extends Pick<NetworkCall, 'network' | 'timeoutMs'> {
  token: string;
  /** E.g. `https://graph.facebook.com/v23.0`. */
  root: string;
  /** What the network calls a comment's text and time. */
  fields: { text: 'message' | 'text'; at: 'created_time' | 'timestamp' };
}

const created = z.object({ id: z.string() });
const listed = z.object({
  data: z.array(z.object({ id: z.string(), message: z.string().optional(), text: z.string().optional(), created_time: z.string().optional(), timestamp: z.string().optional() })),
});

/** @returns the comment's id */
export async function writeComment({ root, fields: _fields, ...call }: CommentApi, postId: string, text: string, io: PlatformIo): Promise<string> {
  const url = `${root}/${encodeURIComponent(postId)}/comments`;
  return (await ask(io, { ...call, effect: 'create', method: 'POST', url, body: { message: text } }, created, graphFailure(call.network, 'create'))).id;
}

/** @returns the id of a comment with this text since then, or null */
export async function findComment({ root, fields, ...call }: CommentApi, postId: string, text: string, since: Date, io: PlatformIo): Promise<string | null> {
  const url = `${root}/${encodeURIComponent(postId)}/comments`;
  const query = { fields: `id,${fields.text},${fields.at}`, limit: '50', ...(fields.at === 'created_time' ? { order: 'reverse_chronological' } : {}) };
  const { data } = await ask(io, { ...call, effect: 'read', method: 'GET', url, query }, listed, graphFailure(call.network, 'read'));
  const from = since.getTime() - 5000;
  return data.find((comment) => (comment[fields.text] ?? '').trim() === text.trim() && Date.parse(comment[fields.at] ?? '') >= from)?.id ?? null;
}
