/** Events as ready messages for Slack, Discord and Microsoft Teams. */
import { isChannelEvent, isPostEvent, type EventInput, type PostEventInput, type PublicationFacts } from './event.js';

export type ChatStyle = 'slack' | 'discord' | 'teams';

export const CHAT_STYLES: readonly ChatStyle[] = ['slack', 'discord', 'teams'];

interface Message {
  title: string;
  lines: string[];
  links: { text: string; url: string }[];
}

const EXCERPT = 280;
/** Discord's limit for a message; Slack's for a section is 3,000. */
const LONGEST = 1_900;

/** @returns compact JSON, or null when there is nothing to say */
export function chatBody(style: ChatStyle, event: EventInput): string | null {
  const message = messageOf(event);
  if (message === null) return null;
  if (style === 'slack') return JSON.stringify(slack(message));
  return JSON.stringify(style === 'discord' ? discord(message) : teams(message));
}

function messageOf(event: EventInput): Message | null {
  if (event.type === 'webhook.test') return { title: 'Test from Signpost', lines: ['If you can read this, messages arrive here.'], links: [] };
  if (event.type === 'subscription.changed') return { title: 'Plan changed', lines: [`The plan is ${event.data.planName} now.`], links: [] };
  if (event.type === 'quota.reached') return { title: 'Posts used up', lines: [`The ${event.data.limit} posts a month of the plan ${event.data.planName} are used up. They begin anew ${event.data.resetsAt}.`], links: [] };
  if (event.type === 'endpoint.disabled') return { title: 'Webhook endpoint turned off', lines: [event.data.url, event.data.reason], links: [] };
  if (isChannelEvent(event)) {
    const did = { 'channel.connected': 'connected', 'channel.signed_out': 'signed out', 'channel.disconnected': 'disconnected' }[event.type];
    return { title: `Channel ${did}`, lines: [`${event.data.displayName} on ${event.data.platform}`, ...(event.data.problem === null ? [] : [event.data.problem])], links: [] };
  }
  return isPostEvent(event) ? postMessage(event) : null;
}

const TITLES: Record<PostEventInput['type'], string | null> = {
  'post.accepted': null,
  'post.scheduled': 'Post scheduled',
  'post.updated': 'Scheduled post changed',
  'post.cancelled': 'Post cancelled',
  'post.published': 'Post published',
  'post.partially_published': 'Post published on some channels only',
  'post.failed': 'Post failed',
  'post.missed': 'Post missed its time',
  'publication.published': 'Published on one channel',
  'publication.failed': 'Failed on one channel',
  'publication.unconfirmed': 'Please check: nobody can tell whether this is public',
  'publication.incomplete': 'Published, but not all of its thread or its first comment',
};

function postMessage({ type, data }: PostEventInput): Message | null {
  const title = TITLES[type];
  if (title === null) return null;
  const about = data.publicationId === undefined ? data.publications : data.publications.filter(({ id }) => id === data.publicationId);
  const text = data.text.length > EXCERPT ? `${data.text.slice(0, EXCERPT)}...` : data.text;
  const times = type === 'post.scheduled' || type === 'post.updated' ? [`For ${data.scheduledAt}`] : [];
  const links = about.flatMap(({ platform, url }) => (url === null ? [] : [{ text: platform, url }]));
  return { title, lines: [text, ...times, ...about.flatMap(linesOf)], links };
}

/** What went wrong, or waits. */
function linesOf({ platform, state, failure, followUps = [] }: PublicationFacts): string[] {
  if (state !== 'published') return [`${platform}: ${failure?.message ?? state}`];
  return followUps.filter((step) => step.failure !== null).map((step) => `${platform}, ${step.item === null ? 'first comment' : `thread item ${step.item}`}: ${step.failure?.message ?? ''}`);
}

function slack({ title, lines, links }: Message): object {
  const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const linked = links.map(({ text, url }) => `<${url.replaceAll('>', '%3E').replaceAll('|', '%7C')}|${escape(text)}>`).join(', ');
  const text = [`*${escape(title)}*`, ...lines.map(escape), ...(linked === '' ? [] : [linked])].join('\n').slice(0, 2_900);
  return { text: `${title}: ${lines[0] ?? ''}`.slice(0, 300), blocks: [{ type: 'section', text: { type: 'mrkdwn', text } }] };
}

/** Nobody is pinged, whatever a post's text says. */
function discord({ title, lines, links }: Message): object {
  const content = [`**${title}**`, ...lines, ...links.map(({ text, url }) => `${text}: <${url}>`)].join('\n');
  return { content: content.slice(0, LONGEST), allowed_mentions: { parse: [] } };
}

function teams({ title, lines, links }: Message): object {
  const block = (text: string, more: object = {}) => ({ type: 'TextBlock', text: text.slice(0, LONGEST), wrap: true, ...more });
  const body = [block(title, { weight: 'Bolder', size: 'Medium' }), ...lines.map((line) => block(line))];
  const actions = links.slice(0, 5).map(({ text, url }) => ({ type: 'Action.OpenUrl', title: `Open on ${text}`, url }));
  const content = { $schema: 'http://adaptivecards.io/schemas/adaptive-card.json', type: 'AdaptiveCard', version: '1.4', body, ...(actions.length === 0 ? {} : { actions }) };
  return { type: 'message', attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content }] };
}
