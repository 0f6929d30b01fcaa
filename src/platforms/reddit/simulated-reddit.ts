/** Reddit as the simulator plays it: errors inside status 200, ids in base 36. */
import { risingDigits, lettersOf } from '../simulator/fake-ids.js';
import { addComment, commentsOn } from '../simulator/comments.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedPost } from '../simulator/world.js';
import { textLength } from '../text-length.js';

const ID = 'reddit';

const inside = (code: string, message: string, field = ''): SimulatedAnswer => ok({ json: { errors: [[code, message, field]] } });

export const simulatedReddit: SimulatedNetwork = {
  id: ID,
  name: 'Reddit',
  exampleHandle: 'ada_reads',
  handlePattern: /^[\w-]{3,20}$/,
  consent: { path: '/api/v1/authorize', clientParam: 'client_id' },
  permissions: ['Access your Reddit username', 'Submit links and comments from your account', 'Edit and delete your comments and submissions', 'Access your posting history'],
  pages: { profile: '/user/:handle', post: '/r/:subreddit/comments/:id/' },
  pageParams: (_account, post) => ({ subreddit: textField(post.extra, 'subreddit') }),
  accessTokenMs: 24 * 3600_000,
  accountId: (handle) => lettersOf(`${ID} ${handle.toLowerCase()}`, 8).toLowerCase(),
  token: {
    path: '/api/v1/access_token',
    answer: (grant, _account, now) => ok({
      access_token: grant.accessToken, token_type: 'bearer', expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), refresh_token: grant.refreshToken,
      scope: 'identity submit read history edit',
    }),
    error: (error) => ok({ error }),
  },
  refusals: {
    signedOut: () => ({ status: 401, body: { message: 'Unauthorized', error: 401 } }),
    // The famous one: a rate limit inside a success.
    tooMany: (after) => inside('RATELIMIT', `Looks like you've been doing that a lot. Take a break${after === null ? '' : ` for ${after} seconds`} before trying again.`, 'ratelimit'),
    serverError: () => ({ status: 500, body: { message: 'Internal Server Error', error: 500 } }),
    suspended: () => inside('USER_SUSPENDED', 'Your account has been suspended', 'sr'),
    duplicate: () => inside('ALREADY_SUB', 'that link has already been submitted', 'url'),
    dailyLimit: () => inside('RATELIMIT', "you are doing that too much. try again in 24 hours.", 'ratelimit'),
    refused: (message) => inside('BAD_CONTENT', message, 'text'),
  },
  rate: {
    limit: 100, windowMs: 60_000,
    headers: (limit, remaining, resetAt) => ({
      'x-ratelimit-used': String(limit - remaining), 'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': String(Math.ceil((resetAt - Date.now()) / 1000)),
    }),
  },
  remoteId: (post) => `t3_${post.id}`,
  routes: [
    { method: 'get', path: '/api/v1/me', act: 'read', handle: ({ account }) => ok({ id: account.id, name: account.handle }) },
    { method: 'post', path: '/api/submit', act: 'publish', textOf: ({ body }) => textField(body, 'text'), handle: submit },
    { method: 'get', path: '/user/:name/submitted', act: 'look-up', handle: list },
    { method: 'post', path: '/api/del', act: 'remove', handle: remove },
    {
      method: 'post', path: '/api/comment', act: 'publish',
      textOf: ({ body }) => textField(body, 'text'),
      handle(call) {
        const made = addComment(call, ID, textField(call.body, 'thing_id').replace(/^t3_/, ''), { id: `t1_${idOf(call.now)}`, text: textField(call.body, 'text') });
        return made === null ? inside('DELETED_LINK', 'the link you are commenting on has been deleted', 'parent') : ok({ json: { errors: [], data: { things: [{ kind: 't1', data: { name: made.id } }] } } });
      },
    },
    {
      method: 'get', path: '/comments/:article', act: 'look-up',
      handle: (call) => ok([{ kind: 'Listing', data: { children: [] } }, {
        kind: 'Listing', data: { children: commentsOn(call, ID, call.params['article'] ?? '').map(({ id, text, at }) => ({ kind: 't1', data: { name: id, body: text, created_utc: at / 1000 } })) },
      }]),
    },
  ],
};

function submit(call: SimulatedCall): SimulatedAnswer {
  const { body, now, webUrl } = call;
  const [title, text, url, subreddit] = [textField(body, 'title'), textField(body, 'text'), textField(body, 'url'), textField(body, 'sr')];
  if (!['self', 'link'].includes(textField(body, 'kind'))) return inside('INVALID_OPTION', "that option is not valid", 'kind');
  if (title === '') return inside('NO_TEXT', 'we need something here', 'title');
  if (textLength('characters', title) > 300) return inside('TOO_LONG', 'this is too long (max: 300)', 'title');
  if (textLength('characters', text) > 40_000) return inside('TOO_LONG', 'this is too long (max: 40000)', 'text');
  if (!/^[\w-]{2,24}$/.test(subreddit)) return inside('SUBREDDIT_NOEXIST', "Hmm, that community doesn't exist. Try checking the spelling.", 'sr');
  if (textField(body, 'kind') === 'link' && !URL.canParse(url)) return inside('BAD_URL', 'you should check that url', 'url');
  const post = acceptPost(call, { network: ID, id: idOf(now), text, media: url === '' ? [] : [url], extra: { title, subreddit } });
  return ok({ json: { errors: [], data: { url: `${webUrl}${permalinkOf(post)}`, drafts_count: 0, id: post.id, name: `t3_${post.id}` } } });
}

function list({ world, account, query }: SimulatedCall): SimulatedAnswer {
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null).slice(0, Math.min(Number(query['limit'] ?? 25), 100));
  const children = posts.map((post) => ({
    kind: 't3', data: { name: `t3_${post.id}`, title: post.extra['title'], selftext: post.text, created_utc: post.acceptedAt / 1000, permalink: permalinkOf(post) },
  }));
  return ok({ kind: 'Listing', data: { children, after: null } });
}

function remove({ world, account, body, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, textField(body, 'id').replace(/^t3_/, ''));
  if (post !== undefined && post.accountId === account.id && post.deletedAt === null) world.put('post', { ...post, deletedAt: now });
  return ok({});
}

function permalinkOf(post: SimulatedPost): string {
  return `/r/${textField(post.extra, 'subreddit')}/comments/${post.id}/`;
}

function idOf(now: number): string {
  return BigInt(risingDigits(now)).toString(36);
}
