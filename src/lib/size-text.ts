/** Sizes for people to read. */

/** @returns e.g. `3.4 MB` */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  if (bytes < 1_000_000) return `${trim(bytes / 1_000)} kB`;
  return bytes < 1_000_000_000 ? `${trim(bytes / 1_000_000)} MB` : `${trim(bytes / 1_000_000_000)} GB`;
}

function trim(value: number): string {
  // Rounded up: what is said to be used must not look like less than it is.
  return String(Math.ceil(value * 10) / 10);
}
