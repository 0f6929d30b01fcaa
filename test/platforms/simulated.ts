/** What tests of adapters share: a simulator of their own and a browser's part in connecting a channel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import axios from 'axios';
import { createHttpClient } from '../../src/lib/http-client.js';
import { createLogger } from '../../src/lib/logger.js';
import { placeholderMedia } from '../../src/platforms/placeholder-media.js';
import type { CredentialGrant, Platform, PlatformContent, PlatformIo } from '../../src/platforms/platform.js';
import type { MediaKind } from '../../src/platforms/media-kind.js';
import { simulatedNetworks } from '../../src/platforms/registry.js';
import { simulatedUrls } from '../../src/platforms/network-urls.js';
import type { ListedPost } from '../../src/platforms/simulator/control-api.js';
import type { SimulatorSettings } from '../../src/platforms/simulator/network.js';
import { startSimulator, type Simulator } from '../../src/platforms/simulator/simulator.js';

export interface TestSimulator {
  simulator: Simulator;
  journalFile: string;
  /** Stops it and starts it again on the same journal, on another port. */
  restart(): Promise<void>;
  posts(query?: Record<string, string>): Promise<ListedPost[]>;
  fault(rule: Record<string, unknown>): Promise<void>;
  clearFaults(): Promise<void>;
  set(settings: Partial<SimulatorSettings>): Promise<void>;
  close(): Promise<void>;
}

export const quick: Partial<SimulatorSettings> = { processingMs: 60, holdMs: 50 };

export async function openSimulator(settings: Partial<SimulatorSettings> = quick): Promise<TestSimulator> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'signpost-simulator-'));
  const journalFile = path.join(dir, 'simulator.jsonl');
  const start = (): Promise<Simulator> => startSimulator({ host: '127.0.0.1', port: 0, journalFile, networks: simulatedNetworks, log: createLogger('silent'), settings });
  const control = axios.create({ validateStatus: (status) => status < 400 });
  const self: TestSimulator = {
    simulator: await start(),
    journalFile,
    async restart() {
      await self.simulator.stop();
      self.simulator = await start();
    },
    async posts(query = {}) {
      const { data } = await control.get<{ posts: ListedPost[] }>(`${self.simulator.url}/simulator/posts`, { params: query });
      return data.posts;
    },
    async fault(rule) {
      await control.post(`${self.simulator.url}/simulator/faults`, rule);
    },
    async clearFaults() {
      await control.delete(`${self.simulator.url}/simulator/faults`);
    },
    async set(change) {
      await control.patch(`${self.simulator.url}/simulator/settings`, change);
    },
    async close() {
      await self.simulator.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return self;
}

const http = createHttpClient({ userAgent: 'signpost-test', keepAliveMs: 500 });

export function ioFor(platform: Platform, { simulator }: TestSimulator): PlatformIo {
  return {
    http,
    now: () => new Date(),
    log: createLogger('silent'),
    baseUrls: simulatedUrls(platform.id, { callUrl: simulator.url, browserUrl: simulator.publicUrl }),
    app: { clientId: 'signpost-test', clientSecret: 'secret' },
    readMedia: async (item) => placeholderMedia(item),
  };
}

export const redirectUri = 'http://127.0.0.1:9/channels/callback';

/** What a person does in the browser: opens the consent page, types a handle, allows or denies. @returns where they are sent back to */
export async function consent(authorizeUrl: string, handle: string, decision: 'allow' | 'deny' = 'allow'): Promise<URL> {
  const browser = axios.create({ maxRedirects: 0, validateStatus: () => true });
  const shown = await browser.get<string>(authorizeUrl);
  if (shown.status !== 200) throw new Error(`The consent page answered ${shown.status}: ${shown.data}`);
  const form = new URLSearchParams({ newHandle: handle, decision });
  for (const match of shown.data.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)) form.set(match[1]!, unescapeHtml(match[2]!));
  const answer = await browser.post<string>(authorizeUrl.split('?')[0]!, form.toString(), { headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  const location = answer.headers['location'] as unknown;
  if (typeof location !== 'string') throw new Error(`The consent form answered ${answer.status}: ${answer.data}`);
  return new URL(location);
}

function unescapeHtml(text: string): string {
  return text.replaceAll('&#39;', "'").replaceAll('&#34;', '"').replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

export interface Connected {
  grant: CredentialGrant;
  handle: string;
}

/** Goes through the whole consent with PKCE and returns the tokens; types what the network gives where that is how real accounts are connected. */
export async function connect(platform: Platform, io: PlatformIo, handle: string): Promise<Connected> {
  if (platform.connectFields !== undefined) return { grant: await platform.connectFields.grant(await valuesGiven(platform, io, handle), io), handle };
  return connectByConsent(platform, io, handle);
}

export async function connectByConsent(platform: Platform, io: PlatformIo, handle: string): Promise<Connected> {
  const codeVerifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
  const back = await consent(platform.oauth!.authorizeUrl({ state: 'state-1', redirectUri, codeChallenge }, io), handle);
  const grant = await platform.oauth!.exchange({ code: back.searchParams.get('code')!, redirectUri, codeVerifier }, io);
  return { grant, handle };
}

/** Where there is no consent page: what the network's own page gives to be typed in. */
export async function valuesGiven(platform: Platform, io: PlatformIo, handle: string): Promise<Record<string, string>> {
  const { simulatedSource, fields } = platform.connectFields!;
  const page = await axios.post<string>(`${io.baseUrls.web}${simulatedSource}`, new URLSearchParams({ newHandle: handle }).toString());
  const values = [...page.data.matchAll(/<dd><code>([^<]*)<\/code><\/dd>/g)].map((match) => unescapeHtml(match[1]!));
  return Object.fromEntries(fields.map((field, i) => [field.name, values[i] ?? '']));
}

let made = 0;

/** Content that the platform takes. */
export function contentFor(platform: Platform, text = `Hello number ${++made}`, { options = {}, mediaKind }: { options?: Record<string, unknown>; mediaKind?: MediaKind } = {}): PlatformContent {
  const { requires, min, kinds } = platform.limits.media;
  const kind = mediaKind ?? requires?.[0] ?? kinds[0] ?? 'image';
  const url = `https://media.example.com/${kind === 'video' ? 'clip.mp4' : 'photo.jpg'}`;
  const media = mediaKind !== undefined || requires !== undefined || min > 0 ? Array.from({ length: Math.max(min, 1) }, () => ({ url, kind })) : [];
  return { text, media, options, idempotencyKey: randomBytes(8).toString('hex'), scheduledAt: new Date() };
}
