/** Everything that the simulated networks remember: accounts, consents, tokens, posts, uploads; each change is journaled first. */
import type { FaultRule } from './faults.js';
import { openJournal, rewriteJournal } from './journal.js';

export interface SimulatedAccount {
  network: string;
  /** The network's own id. */
  id: string;
  handle: string;
  displayName: string;
  createdAt: number;
  isSuspended?: boolean;
}

export interface SimulatedCode {
  network: string;
  id: string;
  accountId: string;
  clientId: string;
  redirectUri: string;
  /** S256; null when the app sent none. */
  codeChallenge: string | null;
  expiresAt: number;
  /** The grant that it was exchanged for. */
  grantId: string | null;
}

export interface SimulatedGrant {
  network: string;
  id: string;
  accountId: string;
  accessToken: string;
  accessExpiresAt: number;
  refreshToken: string;
  isRevoked: boolean;
}

export interface SimulatedPost {
  network: string;
  /** As in its public URL. */
  id: string;
  accountId: string;
  text: string;
  media: string[];
  acceptedAt: number;
  /** Null: never becomes public (stuck, or its processing fails). */
  publicAt: number | null;
  failsAt: number | null;
  failReason: string | null;
  deletedAt: number | null;
  /** The network's handle while it processes, e.g. TikTok's publish_id. */
  handle: string | null;
  /** The post that this one answers. */
  parentId: string | null;
  /** The network's own further fields. */
  extra: Record<string, unknown>;
}

export interface SimulatedUpload {
  network: string;
  id: string;
  accountId: string;
  /** Where the bytes say they come from, else a description. */
  source: string;
  contentType: string;
  bytes: number;
  /** The network's own further fields. */
  extra?: Record<string, unknown>;
}

interface Kinds {
  account: SimulatedAccount;
  code: SimulatedCode;
  grant: SimulatedGrant;
  post: SimulatedPost;
  upload: SimulatedUpload;
}

export interface World {
  put<K extends keyof Kinds>(kind: K, value: Kinds[K]): void;
  find<K extends keyof Kinds>(kind: K, network: string, id: string): Kinds[K] | undefined;
  grantByAccessToken(network: string, token: string): SimulatedGrant | undefined;
  grantByRefreshToken(network: string, token: string): SimulatedGrant | undefined;
  accounts(network?: string): SimulatedAccount[];
  accountByHandle(network: string, handle: string): SimulatedAccount | undefined;
  /** Newest first, deleted ones too. */
  postsOf(network: string, accountId: string): SimulatedPost[];
  posts(): SimulatedPost[];
  postByHandle(network: string, handle: string): SimulatedPost | undefined;
  /** How often a fault has fired for this key; counts one more when `fire` is set. */
  fired(key: string): number;
  fire(key: string): void;
  /** Fault rules; kept here so that they outlast a restart. */
  rules(): FaultRule[];
  setRules(rules: FaultRule[]): void;
  close(): void;
}

/** A journal with more records than this is rewritten at the start when most of them are outdated. */
const COMPACT_FROM = 1000;

/** @param journalFile created when it isn't there; its directory too */
export function openWorld(journalFile: string): World {
  const tables: { [K in keyof Kinds]: Map<string, Kinds[K]> } = { account: new Map(), code: new Map(), grant: new Map(), post: new Map(), upload: new Map() };
  const byAccessToken = new Map<string, SimulatedGrant>();
  const byRefreshToken = new Map<string, SimulatedGrant>();
  const byHandle = new Map<string, SimulatedAccount>();
  const byPostHandle = new Map<string, SimulatedPost>();
  const ofAccount = new Map<string, Set<string>>();
  const firings = new Map<string, number>();
  let rules: FaultRule[] = [];

  function apply<K extends keyof Kinds>(kind: K, value: Kinds[K]): void {
    const key = keyOf(value.network, value.id);
    if (kind === 'grant') reindexGrant(tables.grant.get(key), value as SimulatedGrant);
    if (kind === 'account') byHandle.set(keyOf(value.network, (value as SimulatedAccount).handle), value as SimulatedAccount);
    if (kind === 'post') indexPost(value as SimulatedPost, key);
    (tables[kind] as Map<string, Kinds[K]>).set(key, value);
  }
  function reindexGrant(before: SimulatedGrant | undefined, grant: SimulatedGrant): void {
    if (before !== undefined) {
      byAccessToken.delete(keyOf(before.network, before.accessToken));
      byRefreshToken.delete(keyOf(before.network, before.refreshToken));
    }
    byAccessToken.set(keyOf(grant.network, grant.accessToken), grant);
    byRefreshToken.set(keyOf(grant.network, grant.refreshToken), grant);
  }
  function indexPost(post: SimulatedPost, key: string): void {
    if (post.handle !== null) byPostHandle.set(keyOf(post.network, post.handle), post);
    const account = keyOf(post.network, post.accountId);
    const keys = ofAccount.get(account) ?? new Set();
    keys.add(key);
    ofAccount.set(account, keys);
  }

  let journal = openJournal(journalFile, (record) => {
    const { kind, value } = record as { kind: keyof Kinds | 'fired' | 'rules'; value: never };
    if (kind === 'fired') firings.set(value, (firings.get(value) ?? 0) + 1);
    else if (kind === 'rules') rules = value;
    else apply(kind, value);
  });

  if (journal.replayed > COMPACT_FROM && journal.replayed > 2 * count()) {
    journal.close();
    rewriteJournal(journalFile, records());
    journal = openJournal(journalFile, () => undefined);
  }

  function count(): number {
    return Object.values(tables).reduce((sum, table) => sum + table.size, firings.size);
  }
  function* records(): Generator<unknown> {
    for (const [kind, table] of Object.entries(tables)) for (const value of table.values()) yield { kind, value };
    for (const [key, times] of firings) for (let i = 0; i < times; i++) yield { kind: 'fired', value: key };
    yield { kind: 'rules', value: rules };
  }

  return {
    put(kind, value) {
      journal.append({ kind, value });
      apply(kind, value);
    },
    find: (kind, network, id) => tables[kind].get(keyOf(network, id)),
    grantByAccessToken: (network, token) => byAccessToken.get(keyOf(network, token)),
    grantByRefreshToken: (network, token) => byRefreshToken.get(keyOf(network, token)),
    accounts: (network) => [...tables.account.values()].filter((account) => network === undefined || account.network === network),
    accountByHandle: (network, handle) => byHandle.get(keyOf(network, handle)),
    postsOf(network, accountId) {
      const keys = [...(ofAccount.get(keyOf(network, accountId)) ?? [])];
      return keys.map((key) => tables.post.get(key)!).sort((a, b) => b.acceptedAt - a.acceptedAt);
    },
    posts: () => [...tables.post.values()],
    postByHandle: (network, handle) => byPostHandle.get(keyOf(network, handle)),
    fired: (key) => firings.get(key) ?? 0,
    fire(key) {
      journal.append({ kind: 'fired', value: key });
      firings.set(key, (firings.get(key) ?? 0) + 1);
    },
    rules: () => rules,
    setRules(changed) {
      journal.append({ kind: 'rules', value: changed });
      rules = changed;
    },
    close: () => journal.close(),
  };
}

export function isPublic(post: SimulatedPost, now: number): boolean {
  return post.publicAt !== null && post.publicAt <= now && post.deletedAt === null;
}

function keyOf(network: string, id: string): string {
  return `${network} ${id}`;
}
