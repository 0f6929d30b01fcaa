/** Mends the driver where it waits for ever on a connection that is closing: see `failOnClosedSockets`. */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { MongoNetworkError } from 'mongodb';

interface Connection {
  socket: Socket;
  onError(error: Error): void;
}

type Write = (this: Connection, ...args: unknown[]) => Promise<void>;

let isDone = false;

/**
 * A socket that the server closed is destroyed at once, and says 'close' somewhat later. What the driver (7.8) writes in between goes nowhere, and it then
 * waits for the 'drain' of a socket that says neither that nor 'error' any more: the operation never ends, and where it was the monitor's, the
 * client never finds its server again. Here such a write fails as on any broken connection, so that the driver's own recovery begins.
 */
export function failOnClosedSockets(): void {
  if (isDone) return;
  isDone = true;
  const require = createRequire(import.meta.url);
  const driver = require('mongodb/lib/cmap/connection.js') as { Connection: { prototype: { writeCommand: Write } } };
  const { prototype } = driver.Connection;
  const write = prototype.writeCommand;
  prototype.writeCommand = function writeUnlessClosed(this: Connection, ...args: unknown[]): Promise<void> {
    if (!this.socket.destroyed) return write.apply(this, args);
    const error = new MongoNetworkError('the connection to the database is closing');
    this.onError(error);
    return Promise.reject(error);
  };
}
