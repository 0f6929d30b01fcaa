/** Reels and stories of Facebook Pages on the simulator: started, sent, finished, processed. */
import { graphError } from '../meta-graph/simulated-graph.js';
import { risingDigits } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedRoute } from '../simulator/network.js';
import { isPublic } from '../simulator/world.js';

const ID = 'facebook';
const ROOT = '/v23.0';

/** Only the last phase makes anything public. */
const phases = (path: string): SimulatedRoute[] => [{
  method: 'post', path: `${ROOT}/:page/${path}`, act: ({ body }) => (textField(body, 'upload_phase') === 'start' ? 'upload' : 'publish'),
  textOf: ({ body }) => textField(body, 'description'),
  handle: (call) => (textField(call.body, 'upload_phase') === 'start' ? start(call) : finish(call, path === 'video_stories')),
}];

export const shortRoutes: SimulatedRoute[] = [
  ...phases('video_reels'),
  ...phases('video_stories'),
  // Facebook's upload host takes `Authorization: OAuth <token>`.
  { method: 'post', path: '/video-upload/:id', act: 'upload', open: true, handle: upload },
  { method: 'post', path: `${ROOT}/:page/photo_stories`, act: 'publish', textOf: () => '', handle: photoStory },
  { method: 'get', path: `${ROOT}/:id`, act: 'poll', textOf: ({ world, params }) => world.postByHandle(ID, params['id'] ?? '')?.text ?? '', handle: look },
];

function start({ world, account, now, apiUrl }: SimulatedCall): SimulatedAnswer {
  const id = risingDigits(now);
  world.put('upload', { network: ID, id, accountId: account.id, source: '', contentType: 'video/mp4', bytes: 0 });
  return ok({ video_id: id, upload_url: `${apiUrl}/video-upload/${id}` });
}

function upload({ world, params, headers }: SimulatedCall): SimulatedAnswer {
  const found = world.find('upload', ID, params['id'] ?? '');
  const token = /^OAuth (.+)$/.exec(headers['authorization'] ?? '')?.[1] ?? '';
  if (found === undefined || world.grantByAccessToken(ID, token)?.accountId !== found.accountId) return graphError(190, 'Invalid OAuth access token.', { status: 401 });
  if (!URL.canParse(headers['file_url'] ?? '')) return graphError(389, 'Unable to fetch video file from URL.');
  world.put('upload', { ...found, source: headers['file_url']! });
  return ok({ success: true });
}

function finish(call: SimulatedCall, isStory: boolean): SimulatedAnswer {
  const { world, account, body } = call;
  const found = world.find('upload', ID, textField(body, 'video_id'));
  if (found === undefined || found.accountId !== account.id || found.source === '') return graphError(100, 'The video was not uploaded.');
  if (world.find('post', ID, found.id) !== undefined) return graphError(100, 'The video was published before.');
  acceptPost(call, { network: ID, id: found.id, handle: found.id, text: textField(body, 'description'), media: [found.source], failReason: 'unsupported codec', extra: { isStory } });
  return ok({ success: true });
}

function photoStory(call: SimulatedCall): SimulatedAnswer {
  const photo = call.world.find('upload', ID, textField(call.body, 'photo_id'));
  if (photo === undefined || photo.accountId !== call.account.id) return graphError(100, 'Invalid parameter: photo_id.');
  const post = acceptPost(call, { network: ID, id: risingDigits(call.now), text: '', media: [photo.source], extra: { isStory: true } });
  return ok({ success: true, post_id: post.id });
}

function look({ world, params, now }: SimulatedCall): SimulatedAnswer {
  const post = world.postByHandle(ID, params['id'] ?? '');
  const waiting = world.find('upload', ID, params['id'] ?? '');
  if (post === undefined && waiting !== undefined) return ok({ id: waiting.id, status: { video_status: 'upload_complete', publishing_phase: { status: 'not_started' } } });
  if (post === undefined || post.deletedAt !== null) return graphError(100, 'Unsupported get request. The object does not exist.', { subcode: 33 });
  const hasFailed = post.failsAt !== null && post.failsAt <= now;
  const isDone = isPublic(post, now);
  return ok({
    id: post.id,
    status: {
      video_status: hasFailed ? 'error' : isDone ? 'ready' : 'processing', publishing_phase: { status: isDone ? 'complete' : 'in_progress' },
      ...(hasFailed ? { processing_phase: { status: 'error', error: { message: post.failReason } } } : {}),
    },
  });
}
