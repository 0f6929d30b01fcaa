/** The composer's fields for what only some networks ask, such as a video's title: read from each platform's own schema of its option object. */
import { z } from 'zod';
import type { Platform } from '../platforms/platform.js';
import { findPlatform } from '../platforms/registry.js';

export interface OptionField {
  /** Name in the form, e.g. `option.youtube.title`. */
  name: string;
  /** Key in the option object. */
  key: string;
  label: string;
  type: 'text' | 'url' | 'number' | 'choice' | 'yes-no' | 'list';
  isRequired: boolean;
  choices: string[];
  maxLength: number | null;
}

interface JsonSchema {
  /** What the field is called in forms, where the key doesn't say it. */
  title?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  maxLength?: number;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

const known = new Map<string, OptionField[]>();

/** What a form can ask for; nested options are left to the API. Required ones come first. */
export function optionFieldsOf(platform: Platform): OptionField[] {
  const made = known.get(platform.id);
  if (made !== undefined) return made;
  const schema = platform.options === undefined ? {} : (z.toJSONSchema(platform.options, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
  const fields = Object.entries(schema.properties ?? {}).flatMap(([key, property]): OptionField[] => {
    const type = typeOf(property);
    if (type === null) return [];
    const choices = (property.enum ?? []).map(String);
    return [{ name: `option.${platform.id}.${key}`, key, label: property.title ?? labelOf(key), type, isRequired: schema.required?.includes(key) === true, choices, maxLength: property.maxLength ?? null }];
  });
  const sorted = [...fields.filter((field) => field.isRequired), ...fields.filter((field) => !field.isRequired)];
  known.set(platform.id, sorted);
  return sorted;
}

function typeOf(property: JsonSchema): OptionField['type'] | null {
  if (property.const !== undefined) return null;
  if (property.enum !== undefined) return 'choice';
  if (property.type === 'boolean') return 'yes-no';
  if (property.type === 'number' || property.type === 'integer') return 'number';
  if (property.type === 'array') return property.items?.type === 'string' ? 'list' : null;
  // A second time to publish at would contradict the form's own.
  if (property.type !== 'string' || property.format === 'date-time') return null;
  return property.format === 'uri' ? 'url' : 'text';
}

/** `playListId` is read as "Play list id". */
export function labelOf(key: string): string {
  const words = key.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Problems of an option object are named after its key, e.g. `youTubeOptions.title`. */
export function isOptionField(field: string): boolean {
  return field.includes('.') && !/^(?:thread|firstComment)\b/.test(field);
}

/** The form's field that a problem is about: `mediaUrls[1]` belongs to `mediaUrls`, `thread[0].mediaUrls[1]` to `thread[0].mediaUrls`. */
export function formFieldOf(field: string): string {
  const item = /^thread\[\d+\]\.(?:post|mediaUrls)/.exec(field);
  if (item !== null) return item[0];
  if (field.startsWith('firstComment.mediaUrls')) return 'firstCommentMedia';
  return field.replace(/[[.].*$/, '');
}

/** The option objects that a form's fields make, by the key that the API would have used. Fields left empty are left out. */
export function readOptionFields(form: Record<string, unknown>, platformIds: readonly string[]): Record<string, Record<string, unknown>> {
  const options: Record<string, Record<string, unknown>> = {};
  for (const id of platformIds) {
    const platform = findPlatform(id);
    if (platform === undefined) continue;
    const values = optionFieldsOf(platform).flatMap((field) => {
      const value = valueOf(field, form[field.name]);
      return value === undefined ? [] : [[field.key, value] as const];
    });
    if (values.length > 0) options[optionKeyOf(platform)] = Object.fromEntries(values);
  }
  return options;
}

function valueOf({ type }: OptionField, raw: unknown): unknown {
  if (typeof raw !== 'string' || raw.trim() === '') return undefined;
  if (type === 'yes-no') return raw === 'on';
  if (type === 'number') return Number.isFinite(Number(raw)) ? Number(raw) : raw;
  if (type === 'list') return raw.split(/\r\n|\r|\n/).map((line) => line.trim()).filter((line) => line !== '');
  return raw;
}

/** The lower-case key under which a platform's option object travels. */
export function optionKeyOf(platform: Platform): string {
  return (platform.optionsKey ?? `${platform.id}Options`).toLowerCase();
}

/** The form's fields that stand for stored option objects. */
export function fillOptionFields(options: Record<string, Record<string, unknown>>): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [id, values] of Object.entries(options)) {
    const platform = findPlatform(id);
    for (const { name, key, type } of platform === undefined ? [] : optionFieldsOf(platform)) {
      const value = values[key];
      if (type === 'yes-no') {
        if (value === true) fields[name] = 'on';
      } else if (type === 'list') {
        if (Array.isArray(value)) fields[name] = value.map(String).join('\n');
      } else if (typeof value === 'string' || typeof value === 'number') {
        fields[name] = String(value);
      }
    }
  }
  return fields;
}

/** Option objects after a form was saved: what the form can't show stays as it was. */
export function mergeOptionFields(stored: Record<string, Record<string, unknown>>, sent: Record<string, Record<string, unknown>>, platformIds: readonly string[]): Record<string, Record<string, unknown>> {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const id of platformIds) {
    const platform = findPlatform(id);
    if (platform === undefined) continue;
    const shown = new Set(optionFieldsOf(platform).map((field) => field.key));
    const kept = Object.entries(stored[id] ?? {}).filter(([key]) => !shown.has(key));
    merged[optionKeyOf(platform)] = { ...Object.fromEntries(kept), ...sent[optionKeyOf(platform)] };
  }
  return merged;
}
