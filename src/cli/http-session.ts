/** A browser without a screen: keeps cookies, reads the CSRF token from the page it shows and posts forms with it. */

export interface Page {
  status: number;
  /** Where it ended after redirects. */
  url: string;
  headers: Headers;
  text: string;
}

export interface HttpSession {
  get(path: string): Promise<Page>;
  /** Posts a form with the token of the page seen last (of `from` when given). A list makes a field repeat. */
  post(path: string, fields: Record<string, string | string[]>, options?: { from?: string; csrf?: string | null }): Promise<Page>;
  /** One request without following redirects, with the session's cookies. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** `name=value; ...` as it would be sent now. */
  cookies(): string;
  /** The token that the last page carried. */
  csrfToken(): string | null;
}

/** @param base address of the site, e.g. `http://127.0.0.1:3000` */
export function httpSession(base: string): HttpSession {
  // Cookies don't know ports, but they do know hosts.
  const jars = new Map<string, Map<string, string>>();
  let csrfToken: string | null = null;

  const cookieHeader = (host: string) => [...(jars.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');

  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, base);
    const headers = new Headers(init.headers);
    const cookies = cookieHeader(url.hostname);
    if (cookies !== '') headers.set('cookie', cookies);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) keepCookie(url.hostname, line);
    return response;
  }

  function keepCookie(host: string, line: string): void {
    const [pair = '', ...attributes] = line.split(';');
    const name = pair.slice(0, pair.indexOf('=')).trim();
    const value = pair.slice(pair.indexOf('=') + 1).trim();
    const jar = jars.get(host) ?? new Map<string, string>();
    jars.set(host, jar);
    const gone = attributes.some((a) => /^\s*max-age=0\s*$/i.test(a) || (/^\s*expires=/i.test(a) && new Date(a.slice(a.indexOf('=') + 1)) <= new Date()));
    if (gone) jar.delete(name);
    else jar.set(name, value);
  }

  async function visit(path: string, init: RequestInit): Promise<Page> {
    let url = new URL(path, base);
    let response = await request(url.href, init);
    for (let hops = 0; response.status >= 300 && response.status < 400 && response.headers.has('location'); hops++) {
      if (hops === 10) throw new Error(`more than 10 redirects from ${path}`);
      await response.arrayBuffer();
      url = new URL(response.headers.get('location') ?? '', url);
      response = await request(url.href);
    }
    const text = await response.text();
    csrfToken = tokenIn(text) ?? csrfToken;
    return { status: response.status, url: url.href, headers: response.headers, text };
  }

  return {
    get: (path) => visit(path, {}),
    async post(path, fields, { from, csrf } = {}) {
      if (from !== undefined) await visit(from, {});
      const body = new URLSearchParams();
      const token = csrf === undefined ? csrfToken : csrf;
      if (token !== null && fields['_csrf'] === undefined) body.set('_csrf', token);
      for (const [name, value] of Object.entries(fields)) for (const one of [value].flat()) body.append(name, one);
      return visit(path, { method: 'POST', body, headers: { origin: new URL(path, base).origin } });
    },
    request,
    cookies: () => cookieHeader(new URL(base).hostname),
    csrfToken: () => csrfToken,
  };
}

function tokenIn(html: string): string | null {
  const field = /<input[^>]*name="_csrf"[^>]*>/.exec(html)?.[0];
  const meta = /<meta[^>]*name="csrf-token"[^>]*>/.exec(html)?.[0];
  return /value="([^"]+)"/.exec(field ?? '')?.[1] ?? /content="([^"]+)"/.exec(meta ?? '')?.[1] ?? null;
}

/** The fields of the first form of a page whose action contains `action`, with their values, and the form's own action. */
export function formIn(html: string, action: string): { action: string; fields: Record<string, string> } {
  for (const [form] of html.matchAll(/<form\b[\s\S]*?<\/form>/g)) {
    const target = decode(/<form\b[^>]*\saction="([^"]*)"/.exec(form)?.[1] ?? '');
    if (!target.includes(action)) continue;
    const fields: Record<string, string> = {};
    for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
      const name = /\bname="([^"]*)"/.exec(input)?.[1];
      if (name !== undefined) fields[decode(name)] = decode(/\bvalue="([^"]*)"/.exec(input)?.[1] ?? '');
    }
    return { action: target, fields };
  }
  throw new Error(`no form whose action contains ${JSON.stringify(action)} on this page:\n${html.slice(0, 2000)}`);
}

/** Undoes what HTML does to texts and attributes. */
export function decode(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39|#34|#43|#x2F);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#34': '"', '#43': '+', '#x2F': '/' })[name] ?? '');
}
