/** YouTube as the simulator plays it: upload sessions, processing, the uploads playlist. */
import { googleError, googleRefusals, googleToken } from '../google/simulated-google.js';
import { lettersOf, risingDigits } from '../simulator/fake-ids.js';
import { addComment, commentsOn } from '../simulator/comments.js';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import { isPublic, type SimulatedPost } from '../simulator/world.js';

const ID = 'youtube';

export const simulatedYoutube: SimulatedNetwork = {
  id: ID,
  name: 'YouTube',
  exampleHandle: 'ada.films',
  handlePattern: /^[\w.-]{3,30}$/,
  consent: { path: '/o/oauth2/v2/auth', clientParam: 'client_id' },
  processing: 'after',
  permissions: ['Manage your YouTube videos', 'See, edit, and permanently delete your YouTube videos, ratings, comments and captions'],
  pages: { profile: '/@:handle', post: '/watch?v=:id' },
  accessTokenMs: 3600_000,
  keepsRefreshToken: true,
  accountId: (handle) => `UC${lettersOf(`${ID} ${handle.toLowerCase()}`, 22)}`,
  token: googleToken,
  refusals: googleRefusals,
  rate: { limit: 100, windowMs: 24 * 3600_000, headers: () => ({}) },
  remoteId: (post) => post.id,
  routes: [
    { method: 'get', path: '/youtube/v3/channels', act: 'read', handle: channel },
    { method: 'post', path: '/upload/youtube/v3/videos', act: 'prepare', textOf: ({ body }) => textField(objectField(body, 'snippet'), 'description'), handle: openSession },
    { method: 'put', path: '/upload/youtube/v3/videos', act: 'publish', textOf: (call) => sessionOf(call)?.description ?? '', handle: receive },
    { method: 'get', path: '/youtube/v3/videos', act: 'poll', textOf: ({ world, query }) => world.find('post', ID, query['id'] ?? '')?.text ?? '', handle: look },
    { method: 'get', path: '/youtube/v3/playlistItems', act: 'look-up', handle: listUploads },
    { method: 'delete', path: '/youtube/v3/videos', act: 'remove', handle: remove },
    {
      method: 'post', path: '/youtube/v3/commentThreads', act: 'publish',
      textOf: ({ body }) => writtenIn(body).text,
      handle(call) {
        const { videoId, text } = writtenIn(call.body);
        const made = addComment(call, ID, videoId, { id: `Ug${lettersOf(`${call.now}`, 24)}`, text });
        return made === null ? googleError(404, 'The video identified by the videoId parameter could not be found.', { reason: 'videoNotFound', domain: 'youtube.commentThread' }) : ok({ kind: 'youtube#commentThread', id: made.id });
      },
    },
    { method: 'get', path: '/youtube/v3/commentThreads', act: 'look-up', handle: listComments },
  ],
};

function writtenIn(body: Record<string, unknown>): { videoId: string; text: string } {
  const snippet = objectField(body, 'snippet');
  return { videoId: textField(snippet, 'videoId'), text: textField(objectField(objectField(snippet, 'topLevelComment'), 'snippet'), 'textOriginal') };
}

/** Only a video's own account is given the text as it was written. */
function listComments(call: SimulatedCall): SimulatedAnswer {
  const items = commentsOn(call, ID, call.query['videoId'] ?? '').map(({ id, text, at }) => ({
    kind: 'youtube#commentThread', id, snippet: { topLevelComment: { snippet: { textOriginal: text, textDisplay: text, publishedAt: new Date(at).toISOString() } } },
  }));
  return ok({ kind: 'youtube#commentThreadListResponse', items });
}

interface Session {
  title: string;
  description: string;
  privacy: string;
  effect: SimulatedCall['effect'];
}

function channel({ account }: SimulatedCall): SimulatedAnswer {
  return ok({ kind: 'youtube#channelListResponse', items: [{ id: account.id, snippet: { title: account.displayName, customUrl: `@${account.handle}` }, contentDetails: { relatedPlaylists: { uploads: uploadsOf(account.id) } } }] });
}

function openSession(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now, apiUrl, effect } = call;
  const snippet = objectField(body, 'snippet');
  const [title, description] = [textField(snippet, 'title'), textField(snippet, 'description')];
  if (title === '' || title.length > 100 || /[<>]/.test(title)) return googleError(400, 'The request metadata specifies an invalid or empty video title.', { reason: 'invalidTitle', domain: 'youtube.video' });
  if (Buffer.byteLength(description) > 5000 || /[<>]/.test(description)) return googleError(400, 'The request metadata specifies an invalid video description.', { reason: 'invalidDescription', domain: 'youtube.video' });
  const status = objectField(body, 'status');
  if (!['', 'public', 'unlisted', 'private'].includes(textField(status, 'privacyStatus'))) return googleError(400, 'The request metadata specifies an invalid privacy status.', { reason: 'invalidVideoMetadata', domain: 'youtube.video' });
  if (status['publishAt'] !== undefined && textField(status, 'privacyStatus') !== 'private') return googleError(400, 'The request metadata specifies an invalid scheduled publishing time.', { reason: 'invalidPublishAt', domain: 'youtube.video' });
  const { tags } = snippet;
  if (Array.isArray(tags) && tags.join(',').length > 500) return googleError(400, 'The request metadata specifies invalid video keywords.', { reason: 'invalidTags', domain: 'youtube.video' });
  const id = `s${risingDigits(now)}`;
  const extra: Session = { title, description, privacy: textField(objectField(body, 'status'), 'privacyStatus') || 'public', effect };
  world.put('upload', { network: ID, id, accountId: account.id, source: '', contentType: '', bytes: 0, extra: { ...extra } });
  return { status: 200, body: null, headers: { location: `${apiUrl}/upload/youtube/v3/videos?uploadType=resumable&upload_id=${id}` } };
}

function receive(call: SimulatedCall): SimulatedAnswer {
  const session = sessionOf(call);
  if (session === undefined) return googleError(404, 'The upload session is not known or has expired.', { reason: 'notFound' });
  const effect = call.effect ?? session.effect;
  const id = lettersOf(`${risingDigits(call.now)} ${session.title}`, 11);
  const post = acceptPost({ ...call, effect }, {
    network: ID, id, handle: id, text: session.description, media: [sourceOf(call.raw)], failReason: 'codec', extra: { title: session.title, privacy: session.privacy },
  });
  return ok({ kind: 'youtube#video', id: post.id, snippet: { title: session.title, description: post.text }, status: { uploadStatus: 'uploaded', privacyStatus: session.privacy } });
}

function look({ world, query, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, query['id'] ?? '');
  if (post === undefined || post.deletedAt !== null || post.accountId !== account.id) return ok({ kind: 'youtube#videoListResponse', items: [] });
  const hasFailed = post.failsAt !== null && post.failsAt <= now;
  const uploadStatus = hasFailed ? 'failed' : isPublic(post, now) ? 'processed' : 'uploaded';
  return ok({ kind: 'youtube#videoListResponse', items: [{ id: post.id, status: { uploadStatus, privacyStatus: post.extra['privacy'], ...(hasFailed ? { failureReason: post.failReason } : {}) } }] });
}

function listUploads({ world, account, query }: SimulatedCall): SimulatedAnswer {
  if (query['playlistId'] !== uploadsOf(account.id)) return googleError(404, 'The playlist identified with the request cannot be found.', { reason: 'playlistNotFound', domain: 'youtube.playlistItem' });
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null).slice(0, 50);
  const items = posts.map((post: SimulatedPost) => ({
    snippet: { title: post.extra['title'], description: post.text, publishedAt: new Date(post.acceptedAt).toISOString(), resourceId: { kind: 'youtube#video', videoId: post.id } },
  }));
  return ok({ kind: 'youtube#playlistItemListResponse', items });
}

function remove({ world, account, query, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, query['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return googleError(404, 'The video that you are trying to delete cannot be found.', { reason: 'videoNotFound', domain: 'youtube.video' });
  world.put('post', { ...post, deletedAt: now });
  return { status: 204, body: null };
}

function sessionOf({ world, query }: SimulatedCall): Session | undefined {
  return world.find('upload', ID, query['upload_id'] ?? '')?.extra as Session | undefined;
}

function uploadsOf(channelId: string): string {
  return channelId.replace(/^UC/, 'UU');
}
