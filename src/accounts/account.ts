/** An account and its users: shapes and rules. The account is the customer; users sign in to it. */

export interface User {
  id: string;
  accountId: string;
  /** As the user wrote it. */
  email: string;
  passwordHash: string;
  isAdministrator: boolean;
  /** IANA zone. */
  timeZone: string;
  /** Sessions carry the epoch they began in; raising it ends them all. */
  sessionEpoch: number;
  createdAt: Date;
}

export interface Account {
  id: string;
  createdAt: Date;
}

/** Two spellings of one address must not become two users. */
export function normalizeEmail(email: string): string {
  return email.normalize('NFKC').trim().toLowerCase();
}

/** The same password must match from every keyboard: composed and decomposed letters are one. */
export function normalizePassword(password: string): string {
  return password.normalize('NFKC');
}

export type SignUpMode = 'open' | 'closed' | 'auto';

/** May anyone sign up once the first account exists? `auto`: only while Signpost can be reached from its own machine alone. */
export function isSignUpOpen(mode: SignUpMode, loopbackOnly: boolean): boolean {
  return mode === 'open' || (mode === 'auto' && loopbackOnly);
}
