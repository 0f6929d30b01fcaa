/** What every page has to be: no axe violation in either theme, no sideways scrolling at 320 px, no error in the browser's console. */
import axe from 'axe-core';
import type { Page } from 'playwright-core';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const LOOKS = [
  { colorScheme: 'light', size: { width: 1280, height: 900 } },
  { colorScheme: 'light', size: { width: 320, height: 800 } },
  { colorScheme: 'dark', size: { width: 320, height: 800 } },
] as const;

/** Looks at the page as it stands, in both themes and both widths, and leaves it as it was. @returns what is wrong, in words */
export async function pageProblems(page: Page): Promise<string[]> {
  const before = page.viewportSize();
  const problems: string[] = [];
  for (const { colorScheme, size } of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize(size);
    // Painted twice: colours that change with the theme have arrived.
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))');
    await page.evaluate('Promise.allSettled(document.getAnimations().map((animation) => animation.finished))');
    const where = `${new URL(page.url()).pathname} (${colorScheme}, ${size.width} px)`;
    const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth');
    if (overflow > 0) problems.push(`${where}: ${overflow} px wider than the window`);
    // Evaluated by the debugger, so that the page's content security policy stays in force.
    await page.evaluate(axe.source);
    const run = `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) => violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ') + ' (' + [...n.any, ...n.all, ...n.none].map((c) => c.message).join(' ') + ')').join(', ')))`;
    for (const violation of await page.evaluate<string[]>(run)) problems.push(`${where}: ${violation}`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  if (before !== null) await page.setViewportSize(before);
  return problems;
}

/** Collects what the browser complains about from now on, such as violations of the content security policy. */
export function consoleProblems(page: Page): string[] {
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error.message}`));
  return problems;
}
