/** The containers of Instagram and Threads on the simulator: prepared, ready, published once, expired. */
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedRoute } from '../simulator/network.js';
import type { SimulatedPost, SimulatedUpload } from '../simulator/world.js';
import { containerId, graphError } from './simulated-graph.js';

export interface ContainerRules {
  network: string;
  root: string;
  createPath: string;
  publishPath: string;
  /** Where replies are listed, and then nowhere else. */
  repliesPath?: string;
  statusField: 'status_code' | 'status';
  textField: 'caption' | 'text';
  maxText: number;
  lengthOf(text: string): number;
  /** @returns the network's refusal of these fields, or null */
  check(fields: Record<string, unknown>): SimulatedAnswer | null;
  permalink(call: SimulatedCall, post: SimulatedPost): string;
}

/** Where each container stands. */
interface ContainerFields {
  text: string;
  media: string[];
  isChild: boolean;
  readyAt: number | null;
  failsAt: number | null;
  expiresAt: number;
  postId: string | null;
  parentId: string | null;
  /** Listed nowhere. */
  isStory: boolean;
}

export function containerRoutes(rules: ContainerRules): SimulatedRoute[] {
  const { root, network } = rules;
  return [
    {
      method: 'post', path: `${root}/:user/${rules.createPath}`, act: 'prepare',
      textOf: ({ body }) => textField(body, rules.textField),
      handle: (call) => create(rules, call),
    },
    {
      method: 'post', path: `${root}/:user/${rules.publishPath}`, act: 'publish', handle: (call) => publish(rules, call),
      textOf: ({ world, body }) => fieldsOf(world.find('upload', network, textField(body, 'creation_id')))?.text ?? '',
    },
    { method: 'get', path: `${root}/:user/${rules.createPath}`, act: 'look-up', handle: (call) => list(rules, call, (post) => rules.repliesPath === undefined || post.parentId === null) },
    ...(rules.repliesPath === undefined ? [] : [{
      method: 'get' as const, path: `${root}/:user/${rules.repliesPath}`, act: 'look-up' as const, handle: (call: SimulatedCall) => list(rules, call, (post) => post.parentId !== null),
    }]),
    {
      method: 'get', path: `${root}/:id`, act: 'poll',
      textOf: ({ world, params }) => fieldsOf(world.find('upload', network, params['id'] ?? ''))?.text ?? '',
      handle: (call) => look(rules, call),
    },
    { method: 'delete', path: `${root}/:id`, act: 'remove', handle: (call) => remove(rules, call) },
  ];
}

function create(rules: ContainerRules, call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now, settings, effect, params } = call;
  if (params['user'] !== account.id && params['user'] !== 'me') return graphError(100, `Unsupported post request. Object with ID '${params['user']}' does not exist.`, { subcode: 33 });
  const text = textField(body, rules.textField);
  if (rules.lengthOf(text) > rules.maxText) return graphError(100, `Param ${rules.textField} must be at most ${rules.maxText} characters long.`, { subcode: 2207010 });
  const refusal = rules.check(body);
  if (refusal !== null) return refusal;
  const children = childrenOf(body).map((id) => fieldsOf(world.find('upload', rules.network, id)));
  if (children.some((child) => child === undefined)) return graphError(100, 'Invalid parameter: children contains an unknown container.');
  const own = [textField(body, 'image_url'), textField(body, 'video_url')].filter((url) => url !== '');
  const isVideo = textField(body, 'video_url') !== '';
  const doneAt = now + (isVideo || effect !== null ? settings.processingMs : 0);
  const fields: ContainerFields = {
    text, media: [...own, ...children.flatMap((child) => child!.media)], isChild: String(body['is_carousel_item']) === 'true',
    readyAt: effect === 'stuck' || effect === 'processing-fails' ? null : doneAt, failsAt: effect === 'processing-fails' ? doneAt : null,
    expiresAt: effect === 'expires' ? now : now + 24 * 3600_000, postId: null, parentId: textField(body, 'reply_to_id') || null, isStory: textField(body, 'media_type') === 'STORIES',
  };
  const id = containerId(call, text);
  world.put('upload', { network: rules.network, id, accountId: account.id, source: own[0] ?? '', contentType: isVideo ? 'video/mp4' : 'image/jpeg', bytes: 0, extra: { ...fields } });
  return ok({ id });
}

function publish(rules: ContainerRules, call: SimulatedCall): SimulatedAnswer {
  const { world, account, now, body } = call;
  const upload = world.find('upload', rules.network, textField(body, 'creation_id'));
  const fields = fieldsOf(upload);
  if (upload === undefined || fields === undefined || upload.accountId !== account.id) return graphError(100, 'Invalid parameter: creation_id is not known.', { subcode: 2207006 });
  if (fields.postId !== null) return graphError(100, 'The container was published before.', { subcode: 2207006 });
  if (stateOf(fields, now) !== 'FINISHED') return graphError(9007, 'Media ID is not available', { subcode: 2207027, userMessage: 'The media is not ready for publishing, please wait for a moment.' });
  const post = acceptPost(call, { network: rules.network, id: `180${upload.id.slice(3)}`, text: fields.text, media: fields.media, parentId: fields.parentId, extra: { isStory: fields.isStory } });
  world.put('upload', { ...upload, extra: { ...fields, postId: post.id } });
  return ok({ id: post.id });
}

function look(rules: ContainerRules, call: SimulatedCall): SimulatedAnswer {
  const { world, params, now } = call;
  const id = params['id'] ?? '';
  const fields = fieldsOf(world.find('upload', rules.network, id));
  if (fields !== undefined) return ok({ id, [rules.statusField]: stateOf(fields, now) });
  const post = world.find('post', rules.network, id);
  if (post === undefined || post.deletedAt !== null) return graphError(100, `Unsupported get request. Object with ID '${id}' does not exist.`, { subcode: 33 });
  return ok(present(rules, call, post));
}

function list(rules: ContainerRules, call: SimulatedCall, isListed: (post: SimulatedPost) => boolean): SimulatedAnswer {
  const posts = call.world.postsOf(rules.network, call.account.id).filter((post) => post.deletedAt === null && post.extra['isStory'] !== true && isListed(post)).slice(0, Math.min(Number(call.query['limit'] ?? 25), 100));
  return ok({ data: posts.map((post) => present(rules, call, post)) });
}

function remove(rules: ContainerRules, { world, params, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', rules.network, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return graphError(100, 'Unsupported delete request. The object does not exist.', { subcode: 33 });
  world.put('post', { ...post, deletedAt: now });
  return ok({ success: true, deleted_id: post.id });
}

function present(rules: ContainerRules, call: SimulatedCall, post: SimulatedPost): Record<string, unknown> {
  return { id: post.id, [rules.textField]: post.text, timestamp: new Date(post.acceptedAt).toISOString().replace('Z', '+0000'), permalink: rules.permalink(call, post) };
}

function stateOf(fields: ContainerFields, now: number): string {
  if (fields.postId !== null) return 'PUBLISHED';
  if (fields.expiresAt <= now) return 'EXPIRED';
  if (fields.failsAt !== null && fields.failsAt <= now) return 'ERROR';
  return fields.readyAt !== null && fields.readyAt <= now ? 'FINISHED' : 'IN_PROGRESS';
}

/** Does a carousel have as many children as it may? */
export function hasChildren(fields: Record<string, unknown>, least: number, most: number): boolean {
  const { length } = childrenOf(fields);
  return length >= least && length <= most;
}

function childrenOf(body: Record<string, unknown>): string[] {
  const { children } = body;
  if (Array.isArray(children)) return children.map(String);
  return typeof children === 'string' && children !== '' ? children.split(',') : [];
}

function fieldsOf(upload: SimulatedUpload | undefined): ContainerFields | undefined {
  return upload?.extra as ContainerFields | undefined;
}
