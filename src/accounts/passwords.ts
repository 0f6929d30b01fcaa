/** Password hashes: argon2id with the library's defaults (19 MiB, two passes). */
import { hash, verify } from '@node-rs/argon2';
import { newToken } from '../lib/ids.js';
import { normalizePassword } from './account.js';

export function hashPassword(password: string): Promise<string> {
  return hash(normalizePassword(password));
}

export function isPassword(passwordHash: string, password: string): Promise<boolean> {
  return verify(passwordHash, normalizePassword(password));
}

let decoy: Promise<string> | undefined;

/** Costs what `isPassword` costs, so that the time of an answer doesn't tell whether the email has an account. */
export async function wasteTimeOn(password: string): Promise<false> {
  decoy ??= hashPassword(newToken());
  await isPassword(await decoy, password);
  return false;
}
