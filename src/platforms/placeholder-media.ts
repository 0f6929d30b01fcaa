/** What a simulated channel uploads in place of a media file: a few bytes that name the URL, so nothing outside is fetched. */
import { mediaTypeOf } from './media-kind.js';
import type { MediaBytes, MediaItem } from './platform.js';

export function placeholderMedia(item: MediaItem): MediaBytes {
  return { data: Buffer.from(`signpost placeholder for ${item.url} \n`), contentType: mediaTypeOf(item.url, item.kind) };
}
