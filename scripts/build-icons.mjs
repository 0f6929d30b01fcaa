/** Writes public/icons.svg: the few icons of bootstrap-icons that the pages use, as one sprite. Run: node scripts/build-icons.mjs */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const NAMES = `
  arrow-left arrow-repeat arrow-right arrow-counterclockwise bell bluesky box-arrow-right box-arrow-up-right broadcast calendar2-week calendar-x card-text
  check-circle check-circle-fill chevron-left chevron-right circle clock clipboard copy discord dot exclamation-triangle exclamation-triangle-fill eye
  facebook film gear google hourglass-split house-door image inbox info-circle info-circle-fill instagram key link-45deg linkedin list lock mastodon
  paperclip pause-circle pencil pencil-square people person-check pinterest play-circle plug plus-lg question-circle reddit search send shield-check
  shield-exclamation signpost-split-fill slack slash-circle snapchat telegram threads tiktok trash twitter-x x-circle x-lg x-octagon x-octagon-fill youtube
`.trim().split(/\s+/);

const folder = path.join(path.dirname(createRequire(import.meta.url).resolve('bootstrap-icons/package.json')), 'icons');
const symbols = NAMES.map((name) => {
  const svg = readFileSync(path.join(folder, `${name}.svg`), 'utf8');
  const body = /<svg[^>]*>([\s\S]*)<\/svg>/.exec(svg)[1].replace(/\s*\n\s*/g, '');
  const viewBox = /viewBox="([^"]+)"/.exec(svg)[1];
  return `<symbol id="${name}" viewBox="${viewBox}">${body}</symbol>`;
});
const licence = '<!-- From Bootstrap Icons (https://icons.getbootstrap.com), MIT licence, The Bootstrap Authors. Made by scripts/build-icons.mjs. -->';
writeFileSync(new URL('../public/icons.svg', import.meta.url), `<svg xmlns="http://www.w3.org/2000/svg" fill="currentColor">${licence}\n${symbols.join('\n')}\n</svg>\n`);
