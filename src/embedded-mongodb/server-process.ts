/** The child process: takes the lock, serves, tells its parent, and ends in order when the parent stops it or is gone. */
import { takeLock, type DataLock } from './data-lock.js';
import { startServer, type EmbeddedServer, type ServerOptions } from './server.js';

interface StartMessage extends ServerOptions {
  type: 'start';
}

let server: EmbeddedServer | null = null;
let lock: DataLock | null = null;
let ending = false;

function tell(message: Record<string, unknown>): void {
  if (process.connected) process.send!(message);
}

async function start({ type: _type, ...options }: StartMessage): Promise<void> {
  try {
    lock = await takeLock(options.dataDir);
    server = await startServer(options);
    lock.setPort(server.port);
    tell({ type: 'listening', port: server.port });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    tell({ type: 'failed', message: full ? `The disk that holds ${options.dataDir} is full: free some space and start again.` : message, code });
    await end(1);
  }
}

async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  try {
    await server?.close();
  } catch (error) {
    process.stderr.write(`embedded-mongodb: could not close in order: ${String(error)}\n`);
  }
  lock?.release();
  process.exit(code);
}

process.on('message', (message: StartMessage | { type: 'stop' }) => {
  if (message.type === 'start') void start(message);
  else void end(0);
});
process.on('disconnect', () => void end(0));
// A terminal's Ctrl-C reaches the whole process group; the parent drains its work first and then stops this process.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
