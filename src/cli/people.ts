/** `signpost create-account` and `reset-password`: what an operator does for people who can't get in by themselves. */
import path from 'node:path';
import { signUpSchema } from '../accounts/account-schemas.js';
import { createAccountService, type AccountService } from '../accounts/account-service.js';
import { accountIndexes, createAccountStore } from '../accounts/account-store.js';
import { createLoginLimit } from '../accounts/login-limit.js';
import { createProfileService } from '../accounts/profile-service.js';
import { createProfileStore, profileIndexes } from '../accounts/profile-store.js';
import { readConfig, type Config } from '../config.js';
import { connectDatabase, ensureIndexes } from '../db/database.js';
import { findEmbeddedMongodb, startEmbeddedMongodb } from '../embedded-mongodb/start.js';
import { systemClock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import { startProblem } from '../lib/start-problem.js';

export async function createAccountCommand(args: string[]): Promise<number> {
  const email = emailIn(args, 'create-account EMAIL');
  return withAccounts(async (accounts) => {
    const password = newPassword();
    const { isAdministrator } = await accounts.signUp({ email, password });
    console.log(`${email} has an account now${isAdministrator ? ', the administrator\'s' : ''}. Its password is\n\n  ${password}\n\nIt is shown this once and can be changed under Settings.`);
    return 0;
  });
}

export async function resetPasswordCommand(args: string[]): Promise<number> {
  const email = emailIn(args, 'reset-password EMAIL');
  return withAccounts(async (accounts) => {
    const password = newPassword();
    if (!(await accounts.resetPassword(email, password))) throw startProblem(`There is no account with the email ${email}.`);
    console.log(`The password of ${email} is now\n\n  ${password}\n\nIt is shown this once and can be changed under Settings. Every browser that was signed in is signed out; API keys stay as they are.`);
    return 0;
  });
}

/** 15 random bytes are more than anybody guesses, and short enough to be typed. */
function newPassword(): string {
  return newToken(15);
}

function emailIn(args: string[], usage: string): string {
  const [given, ...more] = args;
  if (given === undefined || more.length > 0) throw startProblem(`Usage: npx signpost ${usage}`);
  const parsed = signUpSchema.shape.email.safeParse(given);
  if (!parsed.success) throw startProblem(parsed.error.issues[0]?.message ?? 'This is not an email address.');
  return parsed.data;
}

/** Works beside a running Signpost and without one. */
async function withAccounts<T>(work: (accounts: AccountService) => Promise<T>): Promise<T> {
  const config = readConfig(process.env);
  const server = await databaseOf(config);
  try {
    const { client, db, close } = await connectDatabase(server.uri);
    try {
      await ensureIndexes(db, [...accountIndexes, ...profileIndexes]);
      const profiles = createProfileService({ store: createProfileStore(db), clock: systemClock });
      return await work(createAccountService({
        store: createAccountStore(db), profiles, loginLimit: createLoginLimit(client, db.databaseName), clock: systemClock, signup: config.signup, loopbackOnly: config.loopbackOnly,
      }));
    } finally {
      await close();
    }
  } finally {
    await server.stop();
  }
}

async function databaseOf({ mongodbUri, dataDir }: Config): Promise<{ uri: string; stop(): Promise<void> }> {
  if (mongodbUri !== null) return { uri: mongodbUri, stop: async () => undefined };
  const folder = path.join(dataDir, 'mongodb');
  const running = await findEmbeddedMongodb(folder);
  return running === null ? startEmbeddedMongodb({ dataDir: folder }) : { uri: running.uri, stop: async () => undefined };
}
