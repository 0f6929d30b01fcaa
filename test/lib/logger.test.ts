/** What is logged, and what never is. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { createHttpClient } from '../../src/lib/http-client.js';
import { createLogger, type Logger } from '../../src/lib/logger.js';
import { callNetwork } from '../../src/platforms/network-call.js';
import { requestTokens } from '../../src/platforms/oauth-tokens.js';
import type { PlatformIo } from '../../src/platforms/platform.js';

describe('the log', () => {
  function written(log: (logger: Logger) => void): string {
    const lines: string[] = [];
    log(createLogger('info', new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString());
        done();
      },
    })));
    return lines.join('');
  }

  it('tells of an error its type, message, code and stack, and those of its causes', () => {
    const error = new Error('It failed.', { cause: Object.assign(new Error('The disk is full.'), { code: 'ENOSPC' }) });
    const { err } = JSON.parse(written((log) => log.error({ err: error }, 'no')) ) as { err: Record<string, string> };
    assert.deepEqual([err['type'], err['message']], ['Error', 'It failed.']);
    assert.match(err['stack'] ?? '', /It failed\..*caused by: Error: The disk is full\./s);
  });

  it('holds nothing of what a failed request to a network carried: tokens, bodies, secrets, addresses with tokens in them', async () => {
    const http = createHttpClient({ userAgent: 'signpost-test', keepAliveMs: 100 });
    const io = { http, now: () => new Date(), log: createLogger('silent') } as unknown as PlatformIo;
    const unused = 'http://127.0.0.1:9';
    const attempts = [
      () => callNetwork(io, { network: 'X', method: 'POST', url: `${unused}/botSECRET1/send`, effect: 'create', timeoutMs: 1000, token: 'SECRET2', headers: { 'x-key': 'SECRET3' }, body: { text: 'SECRET4' } }),
      () => requestTokens(io, { network: 'X', url: `${unused}/token`, form: { client_secret: 'SECRET5', refresh_token: 'SECRET6' } }),
      () => requestTokens(io, { network: 'X', method: 'GET', url: `${unused}/token`, form: { access_token: 'SECRET7' } }),
    ];
    for (const attempt of attempts) {
      const failure: unknown = await attempt().then(() => null, (error: unknown) => error);
      assert.ok(failure instanceof Error);
      for (const fields of [{ err: failure }, { error: failure }, { err: failure.cause }]) {
        const line = written((log) => log.warn(fields, 'a call failed'));
        assert.match(line, /ECONNREFUSED/);
        assert.doesNotMatch(line, /SECRET/);
      }
    }
    await http.close();
  });

  it('keeps secrets back that are logged by name', () => {
    assert.doesNotMatch(written((log) => log.info({ token: 'SECRET1', channel: { accessToken: 'SECRET2', credentials: { x: 'SECRET3' } } }, 'hm')), /SECRET/);
  });
});
