/** What kind of media a URL points to, judged by its extension until the file itself is looked at. */
export type MediaKind = 'image' | 'video' | 'document' | 'unknown';

const KINDS: Record<string, MediaKind> = Object.fromEntries([
  ...['jpg', 'jpeg', 'png', 'gif', 'webp', 'heic', 'heif', 'avif', 'bmp', 'tif', 'tiff'].map((ext) => [ext, 'image'] as const),
  ...['mp4', 'mov', 'm4v', 'webm', 'avi', 'mkv', 'mpeg', 'mpg', '3gp'].map((ext) => [ext, 'video'] as const),
  ...['pdf', 'doc', 'docx', 'ppt', 'pptx'].map((ext) => [ext, 'document'] as const),
]);

const TYPES: Record<string, string> = {
  jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', gif: 'image/gif', webp: 'image/webp', heic: 'image/heic', avif: 'image/avif',
  bmp: 'image/bmp', tif: 'image/tiff', tiff: 'image/tiff', mp4: 'video/mp4', m4v: 'video/mp4', mov: 'video/quicktime', webm: 'video/webm',
  mpeg: 'video/mpeg', mpg: 'video/mpeg', pdf: 'application/pdf', doc: 'application/msword', docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  ppt: 'application/vnd.ms-powerpoint', pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
};

const FALLBACK: Record<MediaKind, string> = { image: 'image/jpeg', video: 'video/mp4', document: 'application/pdf', unknown: 'application/octet-stream' };

/**
 * @param url an absolute URL
 * @param isVideo the caller says that a URL without a telling extension is a video
 */
export function mediaKindOf(url: string, isVideo = false): MediaKind {
  return KINDS[extensionOf(url)] ?? (isVideo ? 'video' : 'unknown');
}

/** The MIME type that the URL's extension promises, else the usual one of its kind. */
export function mediaTypeOf(url: string, kind: MediaKind): string {
  return TYPES[extensionOf(url)] ?? FALLBACK[kind];
}

function extensionOf(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : url;
  return /\.([a-z0-9]{1,5})$/i.exec(path)?.[1]?.toLowerCase() ?? '';
}
