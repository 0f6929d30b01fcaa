/** What becomes of operations on connections that the server has just closed. */
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import tls from 'node:tls';
import { setTimeout as wait } from 'node:timers/promises';
import { temporaryDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';

const PATIENCE_MS = 15_000;

describe('a connection that closes while the driver takes it for open', async () => {
  const sockets = new Set<Socket>();
  const originals = { net: net.createConnection, tls: tls.connect };

  function watched<T extends (...args: never[]) => Socket>(open: T): T {
    return ((...args: never[]) => {
      const socket = open(...args);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    }) as T;
  }

  net.createConnection = watched(originals.net as never) as typeof net.createConnection;
  tls.connect = watched(originals.tls as never) as typeof tls.connect;
  const database = await temporaryDatabase();
  after(() => {
    net.createConnection = originals.net;
    tls.connect = originals.tls;
  });

  it('fails the operation at once, and the next ones find the server again', async () => {
    for (let round = 0; round < 3; round++) {
      await waitUntil('the database to answer', async () => database.db.command({ ping: 1 }).then(() => true, () => false), { timeoutMs: PATIENCE_MS });
      assert.notEqual(sockets.size, 0);
      // What the operating system does when the server's process dies: 'close' is said in a later turn.
      for (const socket of sockets) socket.destroy();
      const ended = database.db.command({ ping: 1 }).then(() => 'ended', () => 'ended');
      assert.equal(await Promise.race([ended, wait(PATIENCE_MS, 'waited in vain', { ref: false })]), 'ended');
    }
    await waitUntil('the database to answer again', async () => database.db.command({ ping: 1 }).then(() => true, () => false), { timeoutMs: PATIENCE_MS });
  });
});
