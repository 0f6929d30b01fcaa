/** A value as a string that is the same for equal values of any BSON types: the key of groups and sets. */
import { encodeKeyPart } from './index-key.js';

export function valueKey(value: unknown): string {
  const key = encodeKeyPart(value, false);
  return key.latin1Slice(0, key.length);
}
