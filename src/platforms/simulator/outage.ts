/** An outage of the simulated networks: connections are refused for a while. */
import type { Server } from 'node:http';
import type { Logger } from '../../lib/logger.js';

export interface Outage {
  /** Stops listening, so that connections are really refused, for this long. */
  begin(ms: number): void;
  cancel(): void;
}

const LISTEN_AGAIN_MS = 500;

export function createOutage(server: Server, address: () => { host: string; port: number }, log: Logger): Outage {
  let timer: NodeJS.Timeout | undefined;
  const listenAgain = (): void => {
    const { host, port } = address();
    server.listen(port, host);
  };
  return {
    begin(ms) {
      clearTimeout(timer);
      // Somebody else may have taken the port meanwhile: keep trying.
      server.removeAllListeners('error').on('error', (error) => {
        log.warn({ err: error }, 'the simulator cannot listen again yet');
        timer = setTimeout(listenAgain, LISTEN_AGAIN_MS);
      });
      server.close();
      server.closeAllConnections();
      timer = setTimeout(listenAgain, ms);
    },
    cancel: () => clearTimeout(timer),
  };
}
