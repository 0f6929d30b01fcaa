/** The inbox: a callback URL per account that Signpost itself serves, to watch webhooks arrive without another program. */
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId, newToken } from '../lib/ids.js';
import type { Notifier } from '../lib/notifier.js';
import type { Endpoint } from './endpoint.js';
import type { EndpointService } from './endpoint-service.js';
import { isOwnInbox } from './endpoint-url.js';
import { MESSAGES_KEPT, type Inbox, type InboxMessage, type InboxRow, type InboxStore } from './inbox-store.js';
import { verifyAyrshare, verifyStandard } from './verify.js';

export interface InboxServiceDeps {
  inboxes: InboxStore;
  endpoints: EndpointService;
  publicUrl(): string;
  notifier: Notifier;
  clock: Clock;
}

export interface InboxView {
  url: string;
  messages: InboxRow[];
  /** The endpoint that sends here, if there is one. */
  endpoint: Endpoint | null;
  version: string;
}

export type InboxService = ReturnType<typeof createInboxService>;

/** Headers that say nothing to a developer, or that a proxy in front added about itself. */
const LEFT_OUT = new Set(['connection', 'host', 'cookie', 'authorization', 'accept', 'accept-encoding']);

const PREVIEW_LENGTH = 600;

export function createInboxService(deps: InboxServiceDeps) {
  const urlOf = ({ token }: Inbox) => `${deps.publicUrl()}/inbox/${token}`;

  async function ensure(accountId: string): Promise<Inbox> {
    return (await deps.inboxes.findByAccount(accountId)) ?? deps.inboxes.insert({ token: newToken(24), accountId, createdAt: deps.clock.now() });
  }

  async function endpointFor(actor: Actor, url: string): Promise<Endpoint | null> {
    return (await deps.endpoints.list(actor)).find((endpoint) => endpoint.url === url) ?? null;
  }

  return {
    topic: (accountId: string) => `account:${accountId}:inbox`,

    async view(actor: Actor): Promise<InboxView> {
      const url = urlOf(await ensure(actor.accountId));
      const version = await deps.inboxes.version(actor.accountId);
      return { url, version, messages: await deps.inboxes.list(actor.accountId, MESSAGES_KEPT), endpoint: await endpointFor(actor, url) };
    },

    version: (actor: Actor) => deps.inboxes.version(actor.accountId),

    async url(actor: Actor): Promise<string> {
      return urlOf(await ensure(actor.accountId));
    },

    async message(actor: Actor, id: string): Promise<InboxMessage> {
      const message = await deps.inboxes.find(actor.accountId, id);
      if (message === null) throw new AppError('not-found', ErrorCode.notFound, `There is no such request any more. The inbox keeps the last ${MESSAGES_KEPT}.`);
      return message;
    },

    /** One click: registers the inbox as an endpoint for what happens to posts, unless one of its endpoints is there already. */
    async register(actor: Actor): Promise<Endpoint> {
      const url = urlOf(await ensure(actor.accountId));
      const there = await endpointFor(actor, url);
      if (there !== null) return there;
      return (await deps.endpoints.create(actor, { name: 'My inbox', url, style: 'ayrshare', events: ['scheduled'] })).endpoint;
    },

    async clear(actor: Actor): Promise<void> {
      await deps.inboxes.clear(actor.accountId);
      deps.notifier.notify(`account:${actor.accountId}:inbox`);
    },

    /** @returns false when no inbox has this token */
    async receive(token: string, headers: Record<string, string>, body: Buffer): Promise<boolean> {
      const inbox = await deps.inboxes.findByToken(token);
      if (inbox === null) return false;
      const verdict = await verify(inbox, headers, body);
      const at = deps.clock.now();
      const text = body.toString('utf8');
      await deps.inboxes.add({
        id: newId('msg', at), accountId: inbox.accountId, at, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !LEFT_OUT.has(name))),
        body: text, preview: text.slice(0, PREVIEW_LENGTH), size: body.length, webhookId: headers['webhook-id'] ?? null, event: headers['x-signpost-event'] ?? null, ...verdict,
      });
      deps.notifier.notify(`account:${inbox.accountId}:inbox`);
      return true;
    },
  };

  /** Against every endpoint of the account: the one that sends here first, since a developer may test with another's secret. */
  async function verify(inbox: Inbox, headers: Record<string, string>, body: Buffer): Promise<Pick<InboxMessage, 'standardWebhooks' | 'ayrshare' | 'endpointId'>> {
    const known = await deps.endpoints.secretsOf(inbox.accountId);
    known.sort((a, b) => Number(isOwnInbox(b.endpoint.url, deps.publicUrl())) - Number(isOwnInbox(a.endpoint.url, deps.publicUrl())));
    for (const { endpoint, secrets } of known) {
      const standardWebhooks = verifyStandard(headers, body, secrets);
      const ayrshare = verifyAyrshare(headers, body, secrets);
      if (standardWebhooks === 'verified' || ayrshare === 'verified') return { standardWebhooks, ayrshare, endpointId: endpoint.id };
    }
    return { standardWebhooks: verifyStandard(headers, body, []), ayrshare: verifyAyrshare(headers, body, []), endpointId: null };
  }
}
