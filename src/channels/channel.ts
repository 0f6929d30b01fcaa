/** A channel: one connected social account of a profile on a platform. */

export interface Channel {
  id: string;
  accountId: string;
  profileId: string;
  platform: string;
  /** `signed-out`: the network refused our tokens; due posts are held until the owner reconnects. `disconnected`: the owner left. */
  state: 'connected' | 'signed-out' | 'disconnected';
  /** True when it lives on the simulated network. */
  simulated: boolean;
  remoteId: string;
  username: string;
  displayName: string;
  profileUrl: string | null;
  avatarUrl: string | null;
  credentialsExpireAt: Date | null;
  /** Plain words for the page when it is signed out. */
  problem: string | null;
  createdAt: Date;
  updatedAt: Date;
}
