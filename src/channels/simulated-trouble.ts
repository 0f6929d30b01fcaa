/** Trouble on demand for a simulated channel: asks the simulator, over HTTP, to make its network misbehave. */
import { z } from 'zod';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { HttpClient } from '../lib/http-client.js';
import { findPlatform, simulatedNetworks } from '../platforms/registry.js';
import { refreshOf } from '../platforms/platform.js';
import { aimOf, faultKinds, isFaultKind, type FaultedNetwork, type FaultKind } from '../platforms/simulator/faults.js';
import type { Channel } from './channel.js';

export interface TroubleDeps {
  http: HttpClient;
  simulator: () => { callUrl: string; browserUrl: string } | null;
}

const acts = { publish: 'publishing', poll: 'asking how processing goes', 'look-up': 'looking for a lost post', refresh: 'renewing the sign-in', upload: 'uploading media', remove: 'deleting' } as const;
/** Steps that only rules are aimed at. */
const ACT_LABELS: Record<string, string> = { ...acts, prepare: 'preparing' };

interface Choice {
  value: string;
  label: string;
}

/** What can go wrong at this platform's network, and when. */
export function troubleOf(platformId: string): { kinds: Choice[]; acts: Choice[] } {
  const network = networkOf(platformId);
  const kinds = (Object.keys(faultKinds) as FaultKind[]).filter((kind) => aimOf(kind, 'publish', network) !== null);
  return {
    kinds: kinds.map((value) => ({ value, label: `${faultKinds[value][0]!.toUpperCase()}${faultKinds[value].slice(1)} (${value})` })),
    acts: Object.entries(acts).filter(([act]) => act !== 'refresh' || network.renewsTokens).map(([value, label]) => ({ value, label })),
  };
}

function networkOf(platformId: string): FaultedNetwork {
  const platform = findPlatform(platformId);
  return { ...simulatedNetworks.find(({ id }) => id === platformId), renewsTokens: platform !== undefined && refreshOf(platform) !== undefined };
}

/** What the form holds; empty fields are defaults. */
export const troubleSchema = z.object({
  kind: z.custom<FaultKind>((value) => typeof value === 'string' && isFaultKind(value), 'Choose what goes wrong.'),
  act: z.enum(Object.keys(acts) as [keyof typeof acts], 'Choose when it goes wrong.').default('publish'),
  times: z.string().trim().transform((text) => (text === '' ? null : Number(text))).pipe(z.int('This must be a whole number.').min(1, 'This must be at least 1.').max(1000, 'This must be at most 1,000.').nullable()).default(null),
});

const answer = z.object({ rules: z.array(z.object({ id: z.string(), kind: z.string(), act: z.string(), times: z.number().nullable() })) });

export type Trouble = z.infer<typeof answer>['rules'][number];

export function createSimulatedTrouble({ http, simulator }: TroubleDeps) {
  async function call(method: 'GET' | 'POST' | 'DELETE', query: Record<string, string>, body?: unknown): Promise<unknown> {
    const at = simulator();
    if (at === null) throw unavailable();
    const response = await http.request<string>({
      method, url: `${at.callUrl}/simulator/faults`, params: query, data: body, timeout: 5000, responseType: 'text', transformResponse: (data: string) => data, validateStatus: (status) => status < 400,
    }).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    return JSON.parse(response.data);
  }
  const targetOf = ({ platform, username }: Channel): Record<string, string> => ({ network: platform, handle: username });

  return {
    /** What goes wrong on this channel now. @throws AppError `unavailable` when the simulator doesn't answer */
    async list(channel: Channel): Promise<Trouble[]> {
      return answer.parse(await call('GET', targetOf(channel))).rules;
    },
    /** @throws AppError `invalid` when this can't go wrong at the channel's network */
    async add(channel: Channel, { kind, act, times }: z.output<typeof troubleSchema>): Promise<void> {
      const aim = aimOf(kind, act, networkOf(channel.platform));
      if (aim === null) throw new AppError('invalid', ErrorCode.badRequest, 'This cannot go wrong here.', { fields: [{ field: 'kind', message: "This can't go wrong at this network at that time. Choose something else." }] });
      await call('POST', {}, { ...targetOf(channel), kind, act: aim, times });
    },
    async clear(channel: Channel): Promise<void> {
      await call('DELETE', targetOf(channel));
    },
  };
}

export function actLabel(act: string): string {
  return ACT_LABELS[act] ?? act;
}

function unavailable(cause?: unknown): AppError {
  return new AppError('unavailable', ErrorCode.unavailable, 'The simulated networks do not answer right now. Try again in a moment.', { cause });
}
