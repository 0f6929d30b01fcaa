/** The connection pools of the HTTP client: one for everything, and one for each client certificate, so that no connection carries another's name. */
import { rootCertificates } from 'node:tls';
import { Agent } from 'undici';
import { createConnector, type ConnectionGuard, type TlsIdentity } from './http-connector.js';

/** Names the client to servers that ask for it (mTLS). */
export interface ClientCertificate extends Omit<TlsIdentity, 'ca'> {
  /** The same for the same certificate: its connections are kept for it. */
  id: string;
}

export interface AgentOptions {
  guard: ConnectionGuard | null;
  connectTimeoutMs: number;
  keepAliveMs: number;
  /** Authorities (PEM) that are trusted beside the usual ones. */
  extraCa?: readonly string[];
}

export interface Pool {
  kept: Agent;
  /** Every request on a connection of its own. */
  fresh: Agent;
}

export interface Agents {
  of(certificate: ClientCertificate | null): Pool;
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/** Pools of certificates that are used least go first; what they carry ends before. */
const MAX_CERTIFICATES = 100;

export function createAgents({ guard, connectTimeoutMs, keepAliveMs, extraCa = [] }: AgentOptions): Agents {
  const pools = new Map<string, Pool>();
  const plain = makePool(null);

  function makePool(certificate: ClientCertificate | null): Pool {
    const identity: TlsIdentity = {
      ...(certificate === null ? {} : { certificate: certificate.certificate, key: certificate.key }),
      ...(extraCa.length === 0 ? {} : { ca: [...rootCertificates, ...extraCa] }),
    };
    const shared = { connect: createConnector(guard, connectTimeoutMs, identity), maxHeaderSize: 16_384, headersTimeout: 0, bodyTimeout: 0, allowH2: false } as const;
    return { kept: new Agent({ ...shared, keepAliveTimeout: keepAliveMs, pipelining: 1 }), fresh: new Agent({ ...shared, pipelining: 0 }) };
  }

  const all = (): Agent[] => [plain, ...pools.values()].flatMap(({ kept, fresh }) => [kept, fresh]);

  return {
    of(certificate) {
      if (certificate === null) return plain;
      const there = pools.get(certificate.id) ?? makePool(certificate);
      // The one that was used last stands at the end.
      pools.delete(certificate.id);
      pools.set(certificate.id, there);
      for (const [id, { kept, fresh }] of pools) {
        if (pools.size <= MAX_CERTIFICATES) break;
        pools.delete(id);
        void Promise.allSettled([kept.close(), fresh.close()]);
      }
      return there;
    },
    async close() {
      await Promise.all(all().map((agent) => agent.close()));
    },
    async destroy() {
      await Promise.all(all().map((agent) => agent.destroy()));
    },
  };
}
