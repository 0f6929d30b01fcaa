/** Where a network's roles are found on the simulator: everything that differs between a simulated and a real channel. */
import type { PlatformUrls } from './platform.js';

/**
 * @param simulator `callUrl`: how this process reaches the simulator; `browserUrl`: how people's browsers do
 */
export function simulatedUrls(platformId: string, simulator: { callUrl: string; browserUrl: string }): PlatformUrls {
  const api = `${simulator.callUrl}/${platformId}/api`;
  const web = `${simulator.browserUrl}/${platformId}/web`;
  return { api, auth: api, consent: web, web };
}
