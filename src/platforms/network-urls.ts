/** Where a network's roles are found: everything that differs between a simulated and a real channel. */
import type { Platform, PlatformUrls } from './platform.js';

/**
 * @param simulator `callUrl`: how this process reaches the simulator; `browserUrl`: how people's browsers do
 */
export function simulatedUrls(platformId: string, simulator: { callUrl: string; browserUrl: string }): PlatformUrls {
  const api = `${simulator.callUrl}/${platformId}/api`;
  const web = `${simulator.browserUrl}/${platformId}/web`;
  return { api, auth: api, consent: web, web };
}

/** @param server the operator's choice, for networks that consist of many servers; without it the network's usual addresses */
export function realUrls({ urls }: Pick<Platform, 'urls'>, server?: string): PlatformUrls {
  if (server === undefined) return urls;
  const isOneHost = urls.web === urls.api;
  return { api: server, auth: server, consent: server, web: isOneHost ? server : urls.web };
}
