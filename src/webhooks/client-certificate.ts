/** Client certificates of endpoints (mTLS): read and checked when they are given, the key sealed at rest and never shown. */
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { FieldProblem } from '../lib/app-error.js';
import type { ClientCertificate } from '../lib/http-agents.js';
import type { Seal } from '../lib/seal.js';

/** As an endpoint keeps it. */
export interface StoredCertificate {
  /** PEM; the endpoint's own first, then those that lead to its authority. */
  certificate: string;
  sealedKey: string;
  /** Whom it names, e.g. `CN=Signpost`. */
  subject: string;
  expiresAt: Date;
}

/** What a person gives; an empty key means the stored one. */
export interface CertificateInput {
  certificate: string;
  key: string;
}

const MAX_PEM = 32_768;
const MAX_CHAIN = 6;
const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

type Field = 'clientCertificate' | 'clientKeySecret';

/** @returns what an endpoint keeps, or which field is wrong and what to do */
export function readCertificate(given: CertificateInput, before: StoredCertificate | null, seal: Seal, context: string, now: Date): StoredCertificate | FieldProblem {
  const chain = readChain(given.certificate, now);
  if ('field' in chain) return chain;
  if (given.key.trim() === '' && before === null) return problem('clientKeySecret', 'Paste the private key that belongs to the certificate, too.');
  const keyText = given.key.trim() === '' ? seal.unseal(before!.sealedKey, context) : given.key.trim();
  const key = readKey(keyText);
  if ('field' in key) return key;
  const [leaf] = chain.certificates;
  if (!leaf!.checkPrivateKey(key)) {
    return problem('clientKeySecret', given.key.trim() === '' ? 'The stored key does not belong to this certificate. Paste its own.' : 'This key does not belong to the certificate. The certificate must be the first one pasted.');
  }
  const pem = chain.certificates.map((one) => one.toString().trim()).join('\n') + '\n';
  const unusable = tlsProblem(pem, keyText);
  if (unusable !== null) return problem('clientCertificate', unusable);
  return { certificate: pem, sealedKey: given.key.trim() === '' ? before!.sealedKey : seal.seal(keyText, context), subject: leaf!.subject.replaceAll('\n', ', ').slice(0, 300), expiresAt: new Date(leaf!.validTo) };
}

export function openCertificate({ certificate, sealedKey }: StoredCertificate, seal: Pick<Seal, 'unseal'>, context: string): ClientCertificate {
  return { id: createHash('sha256').update(certificate).digest('hex'), certificate, key: seal.unseal(sealedKey, context) };
}

function readChain(text: string, now: Date): { certificates: X509Certificate[] } | FieldProblem {
  if (text.length > MAX_PEM) return problem('clientCertificate', 'This is too long for a certificate.');
  if (text.includes('PRIVATE KEY')) return problem('clientCertificate', 'This has a private key in it. Paste the key into its own field.');
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0) return problem('clientCertificate', 'This is not a certificate in PEM. It begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----.');
  if (blocks.length > MAX_CHAIN) return problem('clientCertificate', `There are at most ${MAX_CHAIN} certificates.`);
  const certificates: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      return problem('clientCertificate', `${blocks.length === 1 ? 'The certificate' : `Certificate ${index + 1}`} can't be read: some of it is missing or changed.`);
    }
  }
  const { validFrom, validTo } = certificates[0]!;
  if (new Date(validTo) <= now) return problem('clientCertificate', `This certificate expired on ${day(validTo)}. Get a new one.`);
  if (new Date(validFrom) > now) return problem('clientCertificate', `This certificate is valid from ${day(validFrom)} on only.`);
  return { certificates };
}

function readKey(text: string): KeyObject | FieldProblem {
  if (text.length > MAX_PEM) return problem('clientKeySecret', 'This is too long for a private key.');
  if (/ENCRYPTED/.test(text)) return problem('clientKeySecret', 'This key has a passphrase. Paste it without: openssl pkey -in key.pem writes it so. Signpost seals it.');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return problem('clientKeySecret', 'This is not a private key in PEM. It begins with -----BEGIN PRIVATE KEY-----.');
  try {
    return createPrivateKey({ key: text, format: 'pem' });
  } catch {
    return problem('clientKeySecret', "The key can't be read: some of it is missing or changed.");
  }
}

/** TLS may refuse what is well-formed, e.g. a key that is too short. */
function tlsProblem(cert: string, key: string): string | null {
  try {
    createSecureContext({ cert, key });
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return `TLS can't use this certificate${/TOO_SMALL|WEAK/.test(code) ? ': its key is too short, or its signature too weak' : ''}. Make a new one, e.g. with a P-256 or 2,048 bit RSA key.`;
  }
}

function problem(field: Field, message: string): FieldProblem {
  return { field, message };
}

function day(text: string): string {
  return new Date(text).toISOString().slice(0, 10);
}
