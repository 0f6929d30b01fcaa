/** The official client, pointed at Stripe or at any other address that speaks its API, also below a path. */
import Stripe from 'stripe';

const TIMEOUT_MS = 8_000;

/** @param apiUrl e.g. `https://proxy.example/stripe`; null: Stripe itself */
export function createStripeClient(apiKey: string, apiUrl: string | null): Stripe {
  const options = { telemetry: false, timeout: TIMEOUT_MS, maxNetworkRetries: 1 };
  if (apiUrl === null) return new Stripe(apiKey, options);
  const { hostname, port, protocol, pathname } = new URL(apiUrl);
  const isHttps = protocol === 'https:';
  return new Stripe(apiKey, {
    ...options,
    host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (isHttps ? 443 : 80) : Number(port), protocol: isHttps ? 'https' : 'http',
    httpClient: below(pathname.replace(/\/+$/, '')),
  });
}

/** Stripe's client knows hosts, not paths: the path is put before each call's own. */
function below(prefix: string): Stripe.HttpClient {
  const client = Stripe.createNodeHttpClient();
  const makeRequest = client.makeRequest.bind(client);
  client.makeRequest = (host, port, path, ...rest) => makeRequest(host, port, prefix + path, ...rest);
  return client;
}
