/** Slack: messages to one channel of a workspace with a bot's token; refusals come with status 200. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { callNetwork, readAnswer, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import { PlatformFailure, type Credentials, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../platform.js';

const NAME = 'Slack';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), channelId: z.string(), channelName: z.string(), teamId: z.string(), teamUrl: z.string() });
type SlackCredentials = z.infer<typeof credentialsSchema>;

const authTest = z.object({ team: z.string(), team_id: z.string(), url: z.string() });
const channelInfo = z.object({ channel: z.object({ id: z.string(), name: z.string(), is_member: z.boolean().optional(), is_archived: z.boolean().optional() }) });
const sent = z.object({ channel: z.string(), ts: z.string() });
const history = z.object({ messages: z.array(z.object({ ts: z.string(), text: z.string().default(''), bot_id: z.string().optional() })) });

export const slack = {
  id: 'slack',
  name: NAME,
  icon: 'slack',
  urls: { api: 'https://slack.com/api', auth: 'https://slack.com/api', consent: 'https://slack.com', web: 'https://slack.com' },
  optionsKey: 'slackOptions',
  limits: {
    // Longer texts are cut by Slack from 40,000 on; beyond 4,000 it advises against: https://api.slack.com/methods/chat.postMessage
    text: { max: 4000, counting: 'characters', required: false },
    media: { min: 0, max: 10, kinds: ['image'], maxVideos: 0, mixed: false, image: { types: ['image/jpeg', 'image/png', 'image/gif'] } },
    publish: [{ max: 1, windowMs: 1000 }],
  },
  publishTimeoutMs: TIMEOUT_MS,

  async verify(credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const shown = await slackCall(io, { method: 'POST', name: 'auth.test', token: mine.accessToken, effect: 'read', body: {} }, authTest);
    return {
      remoteId: `${mine.teamId}/${mine.channelId}`, username: mine.channelName, displayName: `#${mine.channelName} in ${shown.team}`,
      profileUrl: `${mine.teamUrl}/archives/${mine.channelId}`, avatarUrl: null,
    };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const message = await slackCall(io, { method: 'POST', name: 'chat.postMessage', token: mine.accessToken, effect: 'create', body: { channel: mine.channelId, ...bodyOf(content) } }, sent);
    return published(message.ts, mine);
  },

  thread: {
    async reply(content, { rootId }, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const message = await slackCall(io, { method: 'POST', name: 'chat.postMessage', token: mine.accessToken, effect: 'create', body: { channel: mine.channelId, thread_ts: rootId, ...bodyOf(content) } }, sent);
      return published(message.ts, mine);
    },
    // A channel's history leaves replies out: https://api.slack.com/methods/conversations.replies
    find(content, { rootId }, since, credentials, io) {
      return findMessage(content, 'conversations.replies', { ts: rootId, oldest: oldest(since) }, credentials, io);
    },
  },

  connectFields: {
    help: 'At api.slack.com/apps, make an app from scratch, give its bot the scopes chat:write, channels:read and channels:history (for a private channel groups:read and groups:history), and install it. Then invite it to the channel.',
    simulatedSource: '/apps',
    fields: [
      { name: 'botToken', label: 'Bot token', help: 'Looks like xoxb-123-456-Abc; the page "OAuth & Permissions" shows it.', isSecret: true },
      { name: 'channelId', label: 'Channel ID', help: "Looks like C0123456789; it is at the end of the channel's details.", isSecret: false },
    ],
    async grant({ botToken = '', channelId = '' }, io) {
      const [token, wanted] = [botToken.trim(), channelId.trim()];
      if (!/^xoxb-[\w-]{10,200}$/.test(token)) throw rejected("This is not a bot's token. It begins with xoxb-.");
      if (!/^[A-Z0-9]{6,20}$/.test(wanted)) throw rejected("This is not a channel's ID. It looks like C0123456789.", { field: 'channelId' });
      const team = await slackCall(io, { method: 'POST', name: 'auth.test', token, effect: 'read', body: {} }, authTest);
      const { channel } = await slackCall(io, { method: 'GET', name: 'conversations.info', token, effect: 'read', query: { channel: wanted } }, channelInfo);
      if (channel.is_archived === true) throw rejected(REFUSALS['is_archived']!, { field: 'channelId' });
      if (channel.is_member === false) throw rejected(REFUSALS['not_in_channel']!, { field: 'channelId' });
      return { credentials: { accessToken: token, channelId: channel.id, channelName: channel.name, teamId: team.team_id, teamUrl: team.url.replace(/\/+$/, '') }, expiresAt: null };
    },
  },

  lookUp: {
    find: (content, since, credentials, io) => findMessage(content, 'conversations.history', { oldest: oldest(since) }, credentials, io),
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const gone = (error: unknown): void => {
        if (!(error instanceof PlatformFailure) || error.options.details !== 'message_not_found') throw error;
      };
      await slackCall(io, { method: 'POST', name: 'chat.delete', token: mine.accessToken, effect: 'read', body: { channel: mine.channelId, ts: remoteId } }, z.unknown()).catch(gone);
    },
  },
} satisfies Platform;

function oldest(since: Date): string {
  return String((since.getTime() - 5000) / 1000);
}

async function findMessage(content: PlatformContent, name: string, query: Record<string, string>, credentials: Credentials, io: PlatformIo): Promise<PublishResult | null> {
  const mine = credentialsSchema.parse(credentials);
  const { messages } = await slackCall(io, { method: 'GET', name, token: mine.accessToken, effect: 'read', query: { channel: mine.channelId, ...query, limit: '100' } }, history);
  const wanted = escaped(content.text).trim();
  const found = messages.find((message) => withoutLinkMarks(message.text).trim() === wanted);
  return found === undefined ? null : published(found.ts, mine);
}

interface SlackCall extends Pick<NetworkCall, 'method' | 'effect' | 'body' | 'query'> {
  name: string;
  token: string;
}

async function slackCall<T>(io: PlatformIo, { name, ...rest }: SlackCall, schema: z.ZodType<T>): Promise<T> {
  const call: NetworkCall = { network: NAME, url: `${io.baseUrls.api}/${name}`, timeoutMs: TIMEOUT_MS, ...rest };
  const answer = await callNetwork(io, call);
  const verdict = z.object({ ok: z.boolean(), error: z.string().optional() }).safeParse(answer.body).data;
  if (answer.status >= 400 || verdict?.ok === false) throw slackFailure(answer, verdict?.error ?? `HTTP ${answer.status}`, io);
  return readAnswer(call, schema, answer);
}

/** Images are shown as blocks; the text stays for notifications. */
function bodyOf({ text, media }: PlatformContent): Record<string, unknown> {
  const written = escaped(text);
  if (media.length === 0) return { text: written };
  const images = media.map((item) => ({ type: 'image', image_url: item.url, alt_text: item.altText ?? 'Image' }));
  return { text: written, blocks: [...sectionsOf(written), ...images] };
}

/** A section holds 3,000 characters. */
function sectionsOf(written: string): unknown[] {
  const parts = written.trim() === '' ? [] : (written.match(/[\s\S]{1,3000}/g) ?? []);
  return parts.map((part) => ({ type: 'section', text: { type: 'mrkdwn', text: part } }));
}

/** https://api.slack.com/reference/surfaces/formatting#escaping */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Slack marks links it finds as `<https://...>`, with or without a label. */
function withoutLinkMarks(text: string): string {
  return text.replace(/<(https?:[^|>]+)(?:\|[^>]*)?>/g, '$1');
}

function published(ts: string, { channelId, teamUrl }: SlackCredentials): PublishResult {
  return { state: 'published', remoteId: ts, url: `${teamUrl}/archives/${channelId}/p${ts.replace('.', '')}` };
}

const SIGNED_OUT = new Set(['invalid_auth', 'not_authed', 'token_revoked', 'token_expired', 'account_inactive']);

const REFUSALS: Record<string, string> = {
  channel_not_found: "The channel doesn't exist any more, or the app was removed from it. Connect it again.",
  not_in_channel: 'The app is not in the channel. Invite it there with /invite, then try again.',
  missing_scope: 'The app lacks a permission. Give its bot the scopes chat:write, channels:read and channels:history, and install it again.',
  is_archived: 'The channel is archived. Connect another one.',
  msg_too_long: 'The text is too long for Slack. Shorten it.',
  no_text: 'Slack needs a text. Write something and send it again.',
  ekm_access_denied: 'The workspace has suspended posting. Ask its administrators.',
  team_access_not_granted: 'The workspace does not allow the app any more. Ask its administrators.',
  restricted_action: 'The workspace does not let the app post in this channel. Ask its administrators.',
  duplicate_message: 'Slack already has this message. Change it and send it again.',
  org_login_required: 'The workspace is being moved. Try again later.',
};

function slackFailure(answer: NetworkAnswer, code: string, io: PlatformIo): PlatformFailure {
  const options = { status: answer.status, details: code, ...(code === 'channel_not_found' ? { field: 'channelId' } : {}) };
  if (answer.status === 429 || code === 'ratelimited' || code === 'rate_limited') return rateLimited(NAME, io, answer, options);
  if (answer.status === 401 || SIGNED_OUT.has(code)) return signedOut(NAME, options);
  return rejected(REFUSALS[code] ?? `Slack refused the message: ${inWords(code)} Change it and send it again.`, options);
}
