/** Sign-up, sign-in and what users may change about themselves. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import { isSignUpOpen, type SignUpMode, type User } from './account.js';
import type { SignIn, SignUp } from './account-schemas.js';
import type { AccountStore } from './account-store.js';
import type { Actor } from './actor.js';
import type { LoginLimit } from './login-limit.js';
import { hashPassword, isPassword, wasteTimeOn } from './passwords.js';
import { primaryProfileId } from './profile.js';
import type { ProfileService } from './profile-service.js';

export interface AccountServiceDeps {
  store: AccountStore;
  profiles: Pick<ProfileService, 'ensurePrimary'>;
  loginLimit: LoginLimit;
  clock: Clock;
  signup: SignUpMode;
  /** True while Signpost can be reached from its own machine alone. */
  loopbackOnly: boolean;
}

/** A claim this old without its user was left by a process that died. */
const STALE_CLAIM_MS = 30_000;

export type AccountService = ReturnType<typeof createAccountService>;

export function createAccountService(deps: AccountServiceDeps) {
  const { store, profiles, loginLimit, clock } = deps;
  const isOpen = isSignUpOpen(deps.signup, deps.loopbackOnly);

  /** Is this user the instance's first? Waits for nobody: who claims first wins, a dead claim is taken over. */
  async function becomeFirst(userId: string): Promise<boolean> {
    const now = clock.now();
    if (await store.claimFirst(userId, now)) return true;
    const claim = await store.findFirstClaim();
    if (claim === null || (await store.findUser(claim.userId)) !== null) return false;
    if (now.getTime() - claim.claimedAt.getTime() < STALE_CLAIM_MS) return false;
    return store.takeOverFirst(claim, userId, now);
  }

  async function ensureAccount(user: User): Promise<void> {
    await store.ensureAccount(user.accountId, user.createdAt);
    await profiles.ensurePrimary(user.accountId, user.createdAt);
  }

  /** The user's document is the one write that makes an account exist; all else can be made again from it. */
  async function insertUser(user: User): Promise<void> {
    if (await store.insertUser(user)) return;
    if (user.isAdministrator) await store.releaseFirst(user.id);
    throw emailTaken();
  }

  return {
    /** What the sign-up page has to say: `first` makes the administrator, `closed` says why. */
    async signUpState(): Promise<'first' | 'open' | 'closed'> {
      const claim = await store.findFirstClaim();
      if (claim === null) return 'first';
      if (isOpen) return 'open';
      return (await store.findUser(claim.userId)) === null ? 'first' : 'closed';
    },

    /**
     * @param from the address it comes from; null: the operator at the command line, for whom sign-up is always open
     * @throws AppError `forbidden` when sign-up is closed, `conflict` when the email has an account, `too-many`
     */
    async signUp(input: SignUp, from: string | null = null): Promise<User> {
      const byOperator = from === null;
      // On a machine of their own people may make as many as they like.
      if (!byOperator && !deps.loopbackOnly) await loginLimit.countSignUp(from);
      const passwordHash = await hashPassword(input.password); // before the claim: it is what takes time
      const userId = newId('usr', clock.now());
      if ((await store.findUserByEmail(input.email)) !== null && (isOpen || byOperator)) throw emailTaken();
      const isFirst = await becomeFirst(userId);
      if (!isFirst && !isOpen && !byOperator) throw signUpClosed();
      const user: User = {
        id: userId, accountId: newId('acc', clock.now()), email: input.email, passwordHash, isAdministrator: isFirst,
        timeZone: input.timeZone ?? 'UTC', sessionEpoch: 0, createdAt: clock.now(),
      };
      await insertUser(user);
      if (isFirst && (await store.findFirstClaim())?.userId !== userId) {
        // We were so slow that another one took the claim over.
        await store.deleteUser(userId);
        throw new AppError('conflict', ErrorCode.conflict, 'Somebody else made the first account meanwhile. Try again.');
      }
      await ensureAccount(user);
      return user;
    },

    /**
     * @param ip counted together with the email, and alone
     * @returns null when email and password don't belong together; unknown emails take as long as wrong passwords
     * @throws AppError `too-many` after too many failures
     */
    async signIn(input: SignIn, ip: string): Promise<User | null> {
      await loginLimit.count(input.email, ip);
      const user = await store.findUserByEmail(input.email);
      const matches = user === null ? await wasteTimeOn(input.password) : await isPassword(user.passwordHash, input.password);
      if (user === null || !matches) return null;
      await loginLimit.forgive(input.email, ip);
      await ensureAccount(user); // repairs a sign-up that died half-way
      return user;
    },

    /** @returns null when there is no such user or the session began before the password was changed */
    async findSessionUser(userId: string, sessionEpoch: number): Promise<User | null> {
      const user = await store.findUser(userId);
      return user === null || user.sessionEpoch !== sessionEpoch ? null : user;
    },

    findUser: (userId: string) => store.findUser(userId),

    async setTimeZone(actor: Actor, timeZone: string): Promise<void> {
      await store.setTimeZone(ownUserId(actor), timeZone);
    },

    /** Signs out every session. @returns the user as it is now, for the session that goes on */
    async changePassword(actor: Actor, input: { currentPassword: string; newPassword: string }, ip: string): Promise<User> {
      const user = await store.findUser(ownUserId(actor));
      if (user === null) throw new AppError('unauthenticated', ErrorCode.unauthorized, 'Sign in first.');
      await loginLimit.count(user.email, ip);
      if (!(await isPassword(user.passwordHash, input.currentPassword))) {
        const message = 'This is not your current password.';
        throw new AppError('invalid', ErrorCode.badRequest, message, { fields: [{ field: 'currentPassword', message }] });
      }
      await loginLimit.forgive(user.email, ip);
      if (!(await store.setPassword(user, await hashPassword(input.newPassword)))) {
        throw new AppError('conflict', ErrorCode.conflict, 'The password was changed somewhere else meanwhile. Sign in again.');
      }
      return { ...user, sessionEpoch: user.sessionEpoch + 1 };
    },

    /** By the operator at the command line, for who forgot it. Signs out every session. @returns false when nobody has this email */
    async resetPassword(email: string, password: string): Promise<boolean> {
      const passwordHash = await hashPassword(password);
      for (let user = await store.findUserByEmail(email); user !== null; user = await store.findUserByEmail(email)) {
        if (await store.setPassword(user, passwordHash)) return true;
      }
      return false;
    },
  };
}

/** Who a signed-in user is to the use cases. */
export function actorOfUser(user: User): Actor {
  return {
    accountId: user.accountId, profileId: primaryProfileId(user.accountId), userId: user.id,
    isAdministrator: user.isAdministrator, timeZone: user.timeZone, via: 'page',
  };
}

function ownUserId(actor: Actor): string {
  if (actor.userId === null) throw new AppError('forbidden', ErrorCode.forbidden, 'Only a signed-in user can do this.');
  return actor.userId;
}

function emailTaken(): AppError {
  const message = 'There is an account with this email already. Sign in instead.';
  return new AppError('conflict', ErrorCode.conflict, message, { fields: [{ field: 'email', message }] });
}

function signUpClosed(): AppError {
  return new AppError('forbidden', ErrorCode.forbidden, 'Sign-up is closed on this Signpost. Ask its administrator for an account.');
}
