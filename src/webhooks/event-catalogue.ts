/** The catalogue of events: what each type tells, its JSON Schema and an example, for developers who write receivers. */
import { z } from 'zod';
import { EVENT_TYPES, PUBLIC_EVENT_TYPES, type EventInput, type FollowUpFacts, type PostFacts, type PublicEventType, type PublicationFacts } from './event.js';
import { buildPayload } from './payload.js';

const state = z.enum(['pending', 'sending', 'processing', 'published', 'failed', 'held', 'unconfirmed', 'cancelled', 'missed']);
const failure = z.object({ kind: z.string(), code: z.number(), message: z.string(), details: z.string().optional() }).nullable();

const followUp = z.object({
  kind: z.enum(['reply', 'comment']),
  item: z.number().int().nullable().describe("Of the thread's item, the post itself being 1; null: the first comment."),
  state,
  remoteId: z.string().nullable(),
  url: z.string().nullable(),
  error: failure,
});

const publication = z.object({
  id: z.string(),
  platform: z.string().describe('Lower-case name of the network.'),
  state,
  remoteId: z.string().nullable().describe("The network's id of the post, once it is public."),
  url: z.string().nullable(),
  isVideo: z.boolean(),
  error: failure,
  followUps: z.array(followUp).optional().describe('The further items of its thread and its first comment, where it has any.'),
});

const post = z.object({
  postId: z.string(),
  refId: z.string().describe('Names the profile.'),
  sequence: z.number().int().describe('Rises with each event of the post: tells an old snapshot from a new one.'),
  status: z.string(),
  text: z.string(),
  scheduled: z.boolean().describe('True when it was written for a later time.'),
  scheduledAt: z.iso.datetime(),
  publicationId: z.string().optional().describe('On publication.* events: which one it is about.'),
  publications: z.array(publication),
});

const channel = z.object({
  channelId: z.string(), platform: z.string(), username: z.string(), displayName: z.string(), refId: z.string(), title: z.string(),
  problem: z.string().nullable().describe('Why it is signed out, in plain words.'),
});

const endpoint = z.object({ endpointId: z.string(), url: z.string(), reason: z.string() });
const subscription = z.object({
  plan: z.string().describe('Key of the plan that the account has now.'), planName: z.string(), previousPlan: z.string().nullable(),
  source: z.string().describe('subscription, hand (set by an administrator) or free.'), status: z.string().describe('Of the subscription: trialing, active, past-due, unpaid, paused, ended, or none.'),
  periodEnd: z.iso.datetime().nullable(), cancelAt: z.iso.datetime().nullable(), graceUntil: z.iso.datetime().nullable().describe('After a failed payment: until when the plan goes on.'),
  trialEndsAt: z.iso.datetime().nullable().describe('Set as soon as a trial is about to end.'),
});
const quota = z.object({
  what: z.literal('postsPerMonth').describe('Which limit of the plan.'), plan: z.string(), planName: z.string(), limit: z.number().int(),
  month: z.string().describe('In the time zone of the account, e.g. 2026-07.'), resetsAt: z.iso.datetime(), changePlanUrl: z.url(),
});
const test = z.object({ message: z.string() });

/** What `data` holds, by type. */
function dataSchema(type: PublicEventType): z.ZodType {
  if (type.startsWith('channel.')) return channel;
  if (type === 'endpoint.disabled') return endpoint;
  if (type === 'subscription.changed') return subscription;
  if (type === 'quota.reached') return quota;
  return type === 'webhook.test' ? test : post;
}

/** The whole body of an event in Signpost's format. */
export function bodySchema(type: PublicEventType): z.ZodType {
  return z.object({
    id: z.string().describe('The same on every attempt; equals the header webhook-id.'),
    type: z.literal(type),
    timestamp: z.iso.datetime(),
    version: z.literal(1),
    data: dataSchema(type),
  });
}

export interface CatalogueEntry {
  type: PublicEventType;
  description: string;
  schema: object;
  example: object;
}

const AT = new Date('2026-07-08T12:30:01.250Z');

/** Examples are made by the code that makes the real payloads. */
export const CATALOGUE: readonly CatalogueEntry[] = PUBLIC_EVENT_TYPES.map((type) => ({
  type,
  description: EVENT_TYPES[type],
  schema: z.toJSONSchema(bodySchema(type)),
  example: JSON.parse(buildPayload('signpost', sample(type), { url: '', announcedBefore: false })?.body ?? '{}') as object,
}));

function sample(type: PublicEventType): EventInput {
  const base = { id: 'evt_01k0example0000000000000000', at: AT, sequence: 3, accountId: 'acc_1', profileId: 'prf_1' };
  if (type === 'webhook.test') return { ...base, type, data: { message: 'This is a test from Signpost.' } };
  if (type === 'subscription.changed') {
    return { ...base, type, data: { plan: 'flat', planName: 'Flat', source: 'subscription', status: 'active', periodEnd: '2026-08-08T12:30:00.000Z', cancelAt: null, graceUntil: null, trialEndsAt: null, previousPlan: 'free' } };
  }
  if (type === 'quota.reached') {
    return { ...base, type, data: { what: 'postsPerMonth', plan: 'free', planName: 'Free', limit: 5, month: '2026-07', resetsAt: '2026-08-01T00:00:00.000Z', changePlanUrl: 'https://signpost.example.com/billing' } };
  }
  if (type === 'endpoint.disabled') return { ...base, type, data: { endpointId: 'end_01k0example0000000000000001', url: 'https://example.com/hook', reason: 'The receiver answered 410 Gone.' } };
  if (type === 'channel.connected' || type === 'channel.signed_out' || type === 'channel.disconnected') {
    const problem = type === 'channel.signed_out' ? 'The network no longer accepts the sign-in.' : null;
    return { ...base, type, data: { channelId: 'chn_01k0example0000000000000002', platform: 'network', username: 'ada', displayName: 'Ada', refId: '140b8700bd6ade089b242d845e268fb886130c53', title: 'Primary Profile', problem } };
  }
  return { ...base, type, data: samplePost(type) };
}

function samplePost(type: string): PostFacts {
  const failed = /failed|missed|unconfirmed|partially/.test(type);
  const waiting = /scheduled|updated|cancelled/.test(type);
  const publications = [samplePublication('pub_01k0example0000000000000003', waiting ? 'pending' : failed && !type.includes('partially') ? stateOf(type) : 'published')];
  if (type === 'publication.incomplete') publications[0]!.followUps = [sampleFollowUp(2, 'published'), sampleFollowUp(3, 'failed'), sampleFollowUp(4, 'pending')];
  if (type.includes('partially')) publications.push(samplePublication('pub_01k0example0000000000000004', 'failed'));
  return {
    postId: 'RhrbDtYh7hdSMc67zC8H', refId: '140b8700bd6ade089b242d845e268fb886130c53', status: waiting ? 'scheduled' : /partially|incomplete/.test(type) ? 'partial' : failed ? 'error' : 'success', text: 'Today is a great day!',
    scheduled: true, scheduledAt: '2026-07-08T12:30:00.000Z', ...(type.startsWith('publication.') ? { publicationId: publications[0]!.id } : {}), publications,
  };
}

function stateOf(type: string): PublicationFacts['state'] {
  if (type.includes('missed')) return 'missed';
  return type.includes('unconfirmed') ? 'unconfirmed' : 'failed';
}

function samplePublication(id: string, state: PublicationFacts['state']): PublicationFacts {
  const isPublic = state === 'published';
  const failure = state === 'failed' ? { kind: 'rejected', code: 110, message: 'Status is a duplicate.' } : null;
  return { id, platform: 'network', state, remoteId: isPublic ? '1288899996423983105' : null, url: isPublic ? 'https://network.example/ada/1288899996423983105' : null, isVideo: false, failure, announcesAccepted: false };
}

function sampleFollowUp(item: number, state: FollowUpFacts['state']): FollowUpFacts {
  const { remoteId, url, failure } = samplePublication('', state);
  return { kind: 'reply', item, state, remoteId, url, failure };
}
