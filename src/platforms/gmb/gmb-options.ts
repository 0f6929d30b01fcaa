/** `gmbOptions` as clients send them, and how they are written in Google's words. */
import { z } from 'zod';

const moment = z.iso.datetime({ offset: true, error: 'This must be a time such as 2026-07-08T12:30:00Z.' });
const period = z.object({ title: z.string().min(1).max(58, 'At most 58 characters.'), startDate: moment, endDate: moment });
const isForward = ({ startDate, endDate }: z.infer<typeof period>): boolean => Date.parse(endDate) > Date.parse(startDate);
const BACKWARD = { path: ['endDate'], error: 'The end must come after the start.' };
const event = period.refine(isForward, BACKWARD);
const offer = period.extend({
  couponCode: z.string().max(58, 'At most 58 characters.').optional(),
  redeemOnlineUrl: z.url('This must be an http(s) address.').optional(),
  termsConditions: z.string().optional(),
}).refine(isForward, BACKWARD);

export const gmbOptions = z.object({
  isPhotoVideo: z.literal(false, 'Signpost publishes local posts; photos for the gallery are not supported yet. Leave this out.').optional(),
  category: z.string().optional(),
  callToAction: z.object({ actionType: z.enum(['book', 'order', 'shop', 'learn_more', 'sign_up', 'call']), url: z.url('This must be an http(s) address.').optional() })
    .refine(({ actionType, url }) => actionType === 'call' || url !== undefined, { path: ['url'], error: 'This button needs an address.' }).optional(),
  event: event.optional(),
  offer: offer.optional(),
}).loose();

export function eventOf({ title, startDate, endDate }: z.infer<typeof period>): Record<string, unknown> {
  const [start, end] = [new Date(startDate), new Date(endDate)];
  return { title, schedule: { startDate: dateOf(start), startTime: timeOf(start), endDate: dateOf(end), endTime: timeOf(end) } };
}

export function offerOf({ couponCode, redeemOnlineUrl, termsConditions }: z.infer<typeof offer>): Record<string, unknown> {
  return {
    ...(couponCode === undefined ? {} : { couponCode }), ...(redeemOnlineUrl === undefined ? {} : { redeemOnlineUrl }), ...(termsConditions === undefined ? {} : { termsConditions }),
  };
}

function dateOf(at: Date): Record<string, number> {
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate() };
}

function timeOf(at: Date): Record<string, number> {
  return { hours: at.getUTCHours(), minutes: at.getUTCMinutes() };
}
