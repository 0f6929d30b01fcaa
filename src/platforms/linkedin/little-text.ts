/** LinkedIn's "little text": reserved characters are escaped, hashtags stay hashtags. */

/** https://learn.microsoft.com/linkedin/marketing/community-management/shares/little-text-format */
export function littleText(text: string): string {
  return text.replace(/[\\|{}@[\]()<>*_~]/g, '\\$&').replace(/#(?![\p{L}\p{N}_])/gu, '\\#');
}

/** The way back, as LinkedIn shows it. */
export function plainText(little: string): string {
  return little.replace(/\\([\\|{}@[\]()<>*_~#])/g, '$1');
}
