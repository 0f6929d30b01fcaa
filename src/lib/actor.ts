/** Who is asking: every use case takes the actor first and touches only what belongs to it. */

export interface Actor {
  accountId: string;
  /** The profile the call acts on: the Primary Profile unless another was chosen. */
  profileId: string;
  /** Null when a program calls with an API key. */
  userId: string | null;
  isAdministrator: boolean;
  /** IANA zone in which times are shown to and read from this actor, e.g. `Europe/Berlin`. */
  timeZone: string;
  via: 'page' | 'api';
}
