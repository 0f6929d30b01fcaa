/** The snippets for receivers, run by their own languages against real signatures and against what a forger might send. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { newSecret, signatureHeaders } from '../../src/webhooks/signing.js';
import { SNIPPETS, SNIPPETS_FOLDER } from '../../src/webhooks/snippets.js';
import { temporaryFolder } from '../support/program.js';

interface Case {
  what: string;
  body: string;
  headers: Record<string, string>;
  secret: string;
  genuine: boolean;
}

function cases(): Case[] {
  const [current, old, free] = [newSecret(), newSecret(), 'my own words, größer'];
  const text = JSON.stringify({ text: 'Grüße 🎉', n: 1 });
  const now = Math.floor(Date.now() / 1_000);
  const sign = (secrets: string[], timestamp = now) => {
    const all = signatureHeaders({ body: Buffer.from(text), id: 'evt_1', timestamp, secrets, deliveryId: 'dlv_1', attempt: 1 });
    return Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith('webhook-')));
  };
  const good = { what: 'genuine', body: text, headers: sign([current]), secret: current, genuine: true };
  const forged = (what: string, change: Partial<Case>): Case => ({ ...good, what, genuine: false, ...change });
  const without = (name: string) => Object.fromEntries(Object.entries(good.headers).filter(([other]) => other !== name));
  return [
    good,
    { ...good, what: 'the old secret during a rotation', headers: sign([current, old]), secret: old },
    { ...good, what: 'the new secret during a rotation', headers: sign([current, old]) },
    { ...good, what: 'a secret of words', headers: sign([free]), secret: free },
    { ...good, what: 'unknown versions beside it', headers: { ...good.headers, 'webhook-signature': `v2;x v1a,abc ${good.headers['webhook-signature']}` } },
    { ...good, what: 'an empty body', body: '', headers: { ...sign([current]), ...onlyStandard(signatureHeaders({ body: Buffer.alloc(0), id: 'evt_1', timestamp: now, secrets: [current], deliveryId: 'd', attempt: 1 })) } },
    forged('another body', { body: `${text} ` }),
    forged('another secret', { secret: newSecret() }),
    forged('another id', { headers: { ...good.headers, 'webhook-id': 'evt_2' } }),
    forged('another time', { headers: { ...good.headers, 'webhook-timestamp': String(now - 1) } }),
    forged('an old time', { headers: sign([current], now - 400) }),
    forged('a future time', { headers: sign([current], now + 400) }),
    forged('a time that is no number', { headers: { ...good.headers, 'webhook-timestamp': 'soon' } }),
    forged('no signature', { headers: without('webhook-signature') }),
    forged('no id', { headers: without('webhook-id') }),
    forged('no time', { headers: without('webhook-timestamp') }),
    forged('an empty signature', { headers: { ...good.headers, 'webhook-signature': 'v1,' } }),
    forged('letters beyond ASCII', { headers: { ...good.headers, 'webhook-signature': 'v1,größer' } }),
  ];
}

function onlyStandard(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('webhook-')));
}

/** By language: makes a program of the snippet in `folder` that reads cases as JSON and writes a list of booleans. @returns its command line */
const PROGRAMS: Record<string, (folder: string, given: Case[]) => Promise<string[]>> = {
  'verify.mjs': async (folder) => {
    await writeFile(path.join(folder, 'main.mjs'), `
      import { readFileSync } from 'node:fs';
      import { isFromSignpost } from './verify.mjs';
      console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map((one) => isFromSignpost(Buffer.from(one.body, 'base64'), one.headers, one.secret))));`);
    return ['node', 'main.mjs'];
  },
  'verify.py': async (folder) => {
    await writeFile(path.join(folder, 'main.py'), 'import base64, json, sys\nfrom verify import is_from_signpost\nprint(json.dumps([is_from_signpost(base64.b64decode(one["body"]), one["headers"], one["secret"]) for one in json.load(sys.stdin)]))\n');
    return ['python3', 'main.py'];
  },
  'verify.php': async (folder) => {
    await writeFile(path.join(folder, 'main.php'), `<?php
      require 'verify.php';
      echo json_encode(array_map(fn ($one) => isFromSignpost(base64_decode($one['body']), $one['headers'], $one['secret']), json_decode(stream_get_contents(STDIN), true)));`);
    return ['php', 'main.php'];
  },
  'verify.go': async (folder, given) => {
    await mkdir(path.join(folder, 'signpost'));
    await copyFile(path.join(folder, 'verify.go'), path.join(folder, 'signpost/verify.go'));
    await writeFile(path.join(folder, 'go.mod'), 'module receiver\n\ngo 1.20\n');
    // The cases as Go source: packages that read JSON would have to be compiled first.
    const source = given.map(({ body, headers, secret }) => `{${JSON.stringify(body)}, map[string]string{${Object.entries(headers).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)},`).join(' ')}}, ${JSON.stringify(secret)}},`);
    await writeFile(path.join(folder, 'main.go'), `package main

import (
	"os"
	"receiver/signpost"
)

var cases = []struct {
	body    string
	headers map[string]string
	secret  string
}{
${source.join('\n')}
}

func main() {
	separator := "["
	for _, one := range cases {
		verdict := "false"
		if signpost.IsFromSignpost([]byte(one.body), func(name string) string { return one.headers[name] }, one.secret) {
			verdict = "true"
		}
		os.Stdout.WriteString(separator + verdict)
		separator = ","
	}
	os.Stdout.WriteString("]")
}
`);
    return ['go', 'run', 'main.go'];
  },
};

/** @returns its output; null when there is no such program here */
function run([command = '', ...args]: string[], folder: string, input: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command === 'node' ? process.execPath : command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GO111MODULE: 'on', CGO_ENABLED: '0' } });
    let [output, problems] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (problems += chunk.toString()));
    child.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? resolve(null) : reject(error)));
    child.once('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${command} ended with ${code}: ${problems}`))));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

describe('the snippets for receivers', () => {
  it('accept what Signpost signs and nothing else, in every language that is installed here', async (t: TestContext) => {
    const given = cases();
    const input = JSON.stringify(given.map(({ body, headers, secret }) => ({ body: Buffer.from(body).toString('base64'), headers, secret })));
    const missing: string[] = [];
    for (const { language, file } of SNIPPETS) {
      const folder = await temporaryFolder();
      try {
        await copyFile(path.join(SNIPPETS_FOLDER, file), path.join(folder.path, file));
        const output = await run(await PROGRAMS[file]!(folder.path, given), folder.path, input);
        if (output === null) missing.push(language);
        else (JSON.parse(output) as boolean[]).forEach((verdict, index) => assert.equal(verdict, given[index]!.genuine, `${language}: ${given[index]!.what}`));
      } finally {
        await folder.remove();
      }
    }
    t.diagnostic(missing.length === 0 ? 'ran in all languages' : `not installed here, so not run: ${missing.join(', ')}`);
    assert.ok(!missing.includes('Node.js'));
  });
});
