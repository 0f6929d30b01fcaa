/** What kind of file this is, by its first bytes alone: what a client says of it counts for nothing. */

export interface FileType {
  kind: 'image' | 'video' | 'document';
  contentType: string;
  extension: string;
}

/** As many of a file's first bytes as are looked at. */
export const HEAD_BYTES = 64;

const JPEG: FileType = { kind: 'image', contentType: 'image/jpeg', extension: 'jpg' };
const PNG: FileType = { kind: 'image', contentType: 'image/png', extension: 'png' };
const GIF: FileType = { kind: 'image', contentType: 'image/gif', extension: 'gif' };
const WEBP: FileType = { kind: 'image', contentType: 'image/webp', extension: 'webp' };
const HEIC: FileType = { kind: 'image', contentType: 'image/heic', extension: 'heic' };
const AVIF: FileType = { kind: 'image', contentType: 'image/avif', extension: 'avif' };
const MP4: FileType = { kind: 'video', contentType: 'video/mp4', extension: 'mp4' };
const MOV: FileType = { kind: 'video', contentType: 'video/quicktime', extension: 'mov' };
const WEBM: FileType = { kind: 'video', contentType: 'video/webm', extension: 'webm' };
const PDF: FileType = { kind: 'document', contentType: 'application/pdf', extension: 'pdf' };

/** Every kind that is taken: those that networks' limits know and that can be told by their bytes. */
export const fileTypes: readonly FileType[] = [JPEG, PNG, GIF, WEBP, HEIC, AVIF, MP4, MOV, WEBM, PDF];

export const TAKEN = 'JPEG, PNG, GIF, WebP, HEIC and AVIF images, MP4, MOV and WebM videos, and PDF documents';

/** @returns null for every other kind, such as SVG and HTML, which could carry scripts */
export function fileTypeOf(head: Buffer): FileType | null {
  const text = head.toString('latin1', 0, HEAD_BYTES);
  if (text.startsWith('\xff\xd8\xff')) return JPEG;
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return PNG;
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return GIF;
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return WEBP;
  if (text.startsWith('%PDF-')) return PDF;
  // Matroska and WebM share their first bytes and name themselves right after.
  if (text.startsWith('\x1a\x45\xdf\xa3')) return text.includes('webm') ? WEBM : null;
  return text.slice(4, 8) === 'ftyp' ? brandOf(head) : null;
}

const BRANDS: readonly (readonly [RegExp, FileType])[] = [
  [/^qt {2}$/, MOV],
  [/^avi[fs]$/, AVIF],
  [/^(?:hei[cxms]|hev[cxms]|mif1|msf1)$/, HEIC],
  [/^(?:isom|iso[2-9]|mp4[12]|avc1|M4V[ HP]|MSNV|dash|f4v |3gp\w|mmp4|ndsc|XAVC)$/, MP4],
];

/** ISO base media files name a brand, and after it those that they are compatible with. */
function brandOf(head: Buffer): FileType | null {
  const end = Math.min(head.readUInt32BE(0), head.length, HEAD_BYTES);
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += 4) if (at !== 12) brands.push(head.toString('latin1', at, at + 4));
  const [major = '', ...others] = brands;
  // `mif1` says only that it is an image; those that are compatible say which.
  const inOrder = major === 'mif1' || major === 'msf1' ? [...others, major] : brands;
  for (const brand of inOrder) {
    const found = BRANDS.find(([pattern]) => pattern.test(brand));
    if (found !== undefined) return found[1];
  }
  return null;
}

/** The type of this name that a client may announce; null when it isn't taken. */
export function announcedType(contentType: string): FileType | null {
  const name = contentType.split(';')[0]!.trim().toLowerCase();
  const usual = { 'image/jpg': 'image/jpeg', 'image/heif': 'image/heic', 'video/x-m4v': 'video/mp4' }[name] ?? name;
  return fileTypes.find((type) => type.contentType === usual) ?? null;
}
