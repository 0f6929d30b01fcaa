/** What the public sees of a simulated network: a profile with its posts, newest first, and a page per post. */
import { type Response, Router } from 'express';
import { textField, type SimulatedNetwork } from './network.js';
import { sendPage } from './pages.js';
import { isPublic, type SimulatedAccount, type SimulatedPost, type World } from './world.js';

interface Deps {
  world: World;
  now(): number;
}

const SHOWN_AT_MOST = 100;

export function publicPages(network: SimulatedNetwork, { world, now }: Deps): Router {
  const router = Router();
  router.get('/', (_req, res) => sendPage(res, 'network', {
    title: `${network.name} (simulated)`, network, accounts: world.accounts(network.id), profileUrl: (account: SimulatedAccount) => profileUrl(network, account),
  }));
  // The id is a part of the path, or a parameter as in `/watch?v=:id`.
  const [postPage = '', query = ''] = network.pages.post.split('?');
  router.get(postPage, (req, res) => {
    const { id: inPath, handle: named } = req.params as { id?: string; handle?: string };
    const id = query === '' ? inPath : req.query[query.split('=')[0]!];
    const post = typeof id === 'string' ? postShown(network, world, id, named) : undefined;
    const account = post === undefined ? undefined : world.find('account', network.id, post.accountId);
    if (account === undefined || post === undefined || (named !== undefined && named !== account.handle) || !isPublic(post, now())) return missing(network, res, 'post');
    sendPage(res, 'post', { title: `${account.displayName} at ${network.name}`, network, account, post, view: viewOf(network, account, post), profileUrl: profileUrl(network, account) });
  });
  router.get(network.pages.profile, (req, res) => {
    const account = world.accountByHandle(network.id, String(req.params['handle']));
    if (account === undefined) return missing(network, res, 'profile');
    const posts = world.postsOf(network.id, account.id).filter((post) => isPublic(post, now()));
    const shown = posts.slice(0, SHOWN_AT_MOST).map((post) => viewOf(network, account, post));
    sendPage(res, 'profile', { title: `${account.displayName} (@${account.handle}) at ${network.name}`, network, account, posts: shown, count: posts.length });
  });
  return router;
}

function postShown(network: SimulatedNetwork, world: World, id: string, handle: string | undefined): SimulatedPost | undefined {
  const account = handle === undefined ? undefined : world.accountByHandle(network.id, handle);
  return world.find('post', network.id, account === undefined || network.storedId === undefined ? id : network.storedId(account, id));
}

/** Path of a post's public page. */
export function postPath(network: SimulatedNetwork, account: SimulatedAccount, post: SimulatedPost): string {
  const parts: Record<string, string> = { handle: account.handle, id: post.id, ...network.pageParams?.(account, post) };
  return `/${network.id}/web${network.pages.post.replace(/:(\w+)/g, (_whole, name: string) => parts[name] ?? '')}`;
}

function missing(network: SimulatedNetwork, res: Response, what: string): void {
  sendPage(res, 'problem', { title: 'Not found', message: `There is no such ${what} at the simulated ${network.name}, or it isn't public.` }, { status: 404 });
}

function profileUrl(network: SimulatedNetwork, account: SimulatedAccount): string {
  return `/${network.id}/web${network.pages.profile.replace(':handle', account.handle)}`;
}

function viewOf(network: SimulatedNetwork, account: SimulatedAccount, post: SimulatedPost): { id: string; title: string; text: string; media: string[]; at: string; url: string } {
  return {
    id: post.id, title: textField(post.extra, 'title'), text: post.text, media: post.media.filter((url) => /^https?:/.test(url)), at: new Date(post.publicAt ?? post.acceptedAt).toISOString(),
    url: postPath(network, account, post),
  };
}
