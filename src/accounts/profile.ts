/** A profile: a set of connected channels inside an account. */

export interface Profile {
  id: string;
  accountId: string;
  title: string;
  /** 40 hex digits: names the profile in the API. */
  refId: string;
  isPrimary: boolean;
  createdAt: Date;
}

/** Made from the account's id, so that making it twice makes one, and nobody has to look it up to name it. */
export function primaryProfileId(accountId: string): string {
  return accountId.replace(/^acc_/, 'prf_');
}

/** Titles that look alike are the same title. */
export function titleKeyOf(title: string): string {
  return title.normalize('NFKC').toLowerCase();
}
