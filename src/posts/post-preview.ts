/** What the composer shows while somebody types: each platform's own count, what it objects to, and what the time means. */
import { countText } from '../platforms/check-content.js';
import { findPlatform } from '../platforms/registry.js';
import { mediaUrlProblem } from './post-input.js';
import type { OwnFiles } from './post-files.js';
import { isWritten, timeProblem, type Draft } from './post-forms.js';
import { mediaOf, partsAsked, ruleProblems } from './post-plan.js';
import { textFor } from './post.js';
import { formFieldOf, isOptionField, labelOf, optionKeyOf } from './post-option-fields.js';
import { isTimeZone, readLocalTime } from './post-time.js';

export interface Counter {
  platform: string;
  name: string;
  length: number;
  max: number;
  /** By how much the text is over the limit; 0 when it fits. */
  over: number;
}

export interface Preview {
  counters: Counter[];
  problems: { field: string; message: string; platform?: string }[];
  time: PreviewTime | null;
}

export type PreviewTime =
  | { kind: 'exact'; utc: string; isPast: boolean }
  | { kind: 'gap' | 'unreadable'; message: string }
  | { kind: 'overlap'; message: string; first: string; second: string };

/**
 * @param draft with the uploads that it names, as they were found
 * @param now decides whether the time is past
 */
export function preview(draft: Draft & { files?: OwnFiles }, now: Date): Preview {
  const chosen = draft.platforms.flatMap((id) => findPlatform(id) ?? []);
  const counters = chosen.map((platform): Counter => {
    const { length, max } = countText(platform, textFor(draft, platform.id), { hasMedia: draft.mediaUrls.length > 0, options: draft.options[optionKeyOf(platform)] });
    return { platform: platform.id, name: platform.name, length, max, over: Math.max(0, length - max) };
  });
  return { counters, problems: draftProblems(draft), time: draft.when === 'later' && draft.scheduleDate !== '' ? timeOf(draft, now) : null };
}

const WRITTEN = { text: 'written', mediaUrls: [] };

function draftProblems(draft: Draft & { files?: OwnFiles }): Preview['problems'] {
  const isBlank = (field: string): boolean => !isWritten(draft.thread[Number(/^thread\[(\d+)\]/.exec(field)?.[1])] ?? WRITTEN);
  // Nobody needs to be told that a form they just opened is empty.
  if (draft.text.trim() === '' && Object.keys(draft.texts).length === 0 && draft.mediaUrls.length === 0) return [];
  const urls = draft.mediaUrls.flatMap((url, i) => {
    const problem = mediaUrlProblem(url);
    return problem === null ? [] : [{ field: 'mediaUrls', message: `Address ${i + 1}: ${problem}` }];
  });
  const targets = draft.platforms.flatMap((id) => {
    const platform = findPlatform(id);
    return platform === undefined ? [] : [{ platform }];
  });
  const options = Object.fromEntries(targets.flatMap(({ platform }) => (draft.options[optionKeyOf(platform)] === undefined ? [] : [[platform.id, draft.options[optionKeyOf(platform)]!]])));
  const rules = ruleProblems(targets, { text: draft.text, texts: draft.texts, media: mediaOf(draft), options, ...partsAsked(draft) }).filter(({ field }) => !isBlank(field)).map(({ field, message, platform = '' }) => ({ field: fieldOf(field, platform, draft), message: isOptionField(field) ? `${labelOf(field.slice(field.indexOf('.') + 1))}: ${message}` : message, platform }));
  return [...urls, ...rules];
}

/** Where the form shows it: in the channel's own fields, or in those for all. */
function fieldOf(field: string, platform: string, draft: Draft): string {
  if (isOptionField(field)) return `option.${platform}`;
  if (field === 'post' && draft.texts[platform] !== undefined) return `text.${platform}`;
  return formFieldOf(field);
}

function timeOf(draft: Draft, now: Date): PreviewTime {
  const zone = isTimeZone(draft.timeZone) ? draft.timeZone : 'UTC';
  const time = readLocalTime(draft.scheduleDate, zone);
  if (time.kind === 'exact') return { kind: 'exact', utc: time.at.toISOString(), isPast: time.at <= now };
  const message = timeProblem(time, draft.scheduleDate, zone);
  return time.kind === 'overlap' ? { kind: 'overlap', message, first: time.first.offset, second: time.second.offset } : { kind: time.kind, message };
}
