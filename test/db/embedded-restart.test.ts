/** The embedded database comes back after its death, also when its port was taken meanwhile. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { startDatabase } from '../../src/compose-database.js';
import { createLogger } from '../../src/lib/logger.js';
import { waitUntil } from '../support/wait-until.js';

function listen(port: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => {
    server.once('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('its port is none that a system gives to outgoing connections, and when another program took it the log says so until it is free', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'signpost-restart-'));
  let logged = '';
  const log = createLogger('error', new Writable({ write: (chunk: Buffer, _encoding, done) => {
    logged += chunk.toString();
    done();
  } }));
  const database = await startDatabase(null, folder, log);
  const client = await new MongoClient(database.uri).connect();
  try {
    const port = Number(new URL(database.uri).port);
    assert.ok(port >= 20_000 && port < 27_000, `port ${port}`);
    await client.db('a').collection<{ _id: number }>('c').insertOne({ _id: 1 });
    const pid = database.embeddedPid!;
    process.kill(pid, 'SIGKILL');
    const thief = await waitUntil('its port to be taken', () => listen(port), { everyMs: 1 });
    await waitUntil('the log to say it', () => logged.includes(`another program has taken port ${port}`));
    thief.close();
    await waitUntil('it to be back', () => database.embeddedPid !== pid, { timeoutMs: 30_000 });
    assert.equal(await client.db('a').collection('c').countDocuments(), 1);
  } finally {
    await client.close();
    await database.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
