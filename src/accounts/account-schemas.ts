/** What the forms about accounts take. */
import { z } from 'zod';
import { findTimeZone } from './time-zones.js';

const email = z
  .string('Enter your email address.')
  .trim()
  .min(1, 'Enter your email address.')
  .max(254, 'An email address has at most 254 characters.')
  .regex(/^[^\s@<>"(),:;[\]\\]+@[^\s@<>"(),:;[\]\\]+\.[^\s@<>"(),:;[\]\\.]+$/, 'This is not an email address. It looks like name@example.com.');

const newPassword = z
  .string('Enter a password.')
  .min(10, 'Use at least 10 characters.')
  .max(200, 'Use at most 200 characters.');

/** A password that is only compared: any text that could have been one. */
const givenPassword = z.string('Enter your password.').min(1, 'Enter your password.').max(200, 'A password has at most 200 characters.');

const timeZone = z.string('Choose a time zone.').transform((zone, ctx) => {
  const found = findTimeZone(zone);
  if (found !== null) return found;
  ctx.addIssue({ code: 'custom', message: 'This is not a time zone that Signpost knows. Choose one such as Europe/Berlin.' });
  return z.NEVER;
});

export const signUpSchema = z.object({ email, password: newPassword, timeZone: timeZone.optional().catch(undefined) });
export const signInSchema = z.object({
  email: z.string('Enter your email address.').trim().min(1, 'Enter your email address.').max(254, 'An email address has at most 254 characters.'),
  password: givenPassword,
});
export const settingsSchema = z.object({ timeZone });
export const changePasswordSchema = z.object({ currentPassword: givenPassword, newPassword });
export const newApiKeySchema = z.object({
  name: z.string('Give the key a name.').trim().min(1, 'Give the key a name, so that you recognize it later.').max(60, 'Use at most 60 characters.'),
});
const profileTitle = z.string('Give the profile a title.').trim().min(1, 'Give the profile a title, such as the name of a client.').max(80, 'Use at most 80 characters.');
const profileKey = z.string('Give the key of the profile, as it was shown when the profile was made.').trim().min(1, 'Give the key of the profile.').max(100, 'This key is too long to be one.');
/** Ayrshare's other fields concern what Signpost doesn't have; they are accepted and have no effect. */
export const newProfileSchema = z.looseObject({ title: profileTitle });
export const changeProfileSchema = z.looseObject({ profileKey, title: profileTitle });
export const profileKeySchema = z.looseObject({ profileKey });
export const profilesQuerySchema = z.object({
  title: z.string().max(200).optional(),
  refId: z.string().max(60).optional(),
  limit: z.coerce.number('Give a number.').int().min(1, 'Give 1 to 5000.').max(5_000, 'Give 1 to 5000.').default(5_000),
});
export const idParamSchema = z.object({ id: z.string().max(64) });

/** Where to go after sign-in: only a path of our own, so that no link can lead through us to another site. */
export const nextSchema = z.object({ next: z.string().max(2_000).optional().catch(undefined).transform((next) => localPath(next)) });

/** A form that was sent while nobody was signed in (http/forms.ts, `HeldForm`), on its way through sign-in; unreadable counts as none. */
const heldForm = z.string().max(1_000_000).transform((text, ctx) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    ctx.addIssue({ code: 'custom', message: 'This is not JSON.' });
    return z.NEVER;
  }
}).pipe(z.object({
  path: z.string().max(2_000).transform((path) => localPath(path)).pipe(z.string()),
  fields: z.array(z.tuple([z.string(), z.string()])).max(2_000),
}));

export const heldFormSchema = z.object({ held: heldForm.nullish().catch(null) });

/** @returns the path when it is one of this site, else null */
export function localPath(next: string | undefined): string | null {
  if (next === undefined || !next.startsWith('/')) return null;
  const base = 'http://signpost.invalid';
  if (!URL.canParse(next, base)) return null;
  const url = new URL(next, base);
  // `//evil.example` and `/\evil.example` parse to another origin; a path that begins `//` once normalized would be read as one.
  if (url.origin !== base || url.pathname.startsWith('//')) return null;
  return url.pathname + url.search;
}

export type SignUp = z.output<typeof signUpSchema>;
export type SignIn = z.output<typeof signInSchema>;
