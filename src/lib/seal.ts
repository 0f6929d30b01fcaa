/** Seals secrets before they are stored (AES-256-GCM) and opens them again. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export interface Seal {
  /**
   * @param plaintext the secret
   * @param context what it belongs to, e.g. `channel:chn_1`; the same context is needed to open it, so a sealed value
   *   copied to another document can't be opened there.
   */
  seal(plaintext: string, context: string): string;
  /** @throws Error when the value was sealed with another key or context, or was changed. */
  unseal(sealed: string, context: string): string;
}

const VERSION = 's1';

/** @param masterKey at least 32 bytes of secret, from `SECRET_KEY` or the data directory's key file. */
export function createSeal(masterKey: Buffer): Seal {
  const key = Buffer.from(hkdfSync('sha256', masterKey, 'signpost', 'seal', 32));
  return {
    seal(plaintext, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      cipher.setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return `${VERSION}.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`;
    },
    unseal(sealed, context) {
      const [version, data] = sealed.split('.');
      if (version !== VERSION || data === undefined) throw new Error('This value was not sealed by Signpost.');
      const raw = Buffer.from(data, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', key, raw.subarray(0, 12));
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(raw.subarray(12, 28));
      return Buffer.concat([decipher.update(raw.subarray(28)), decipher.final()]).toString('utf8');
    },
  };
}
