/** Operator commands: `npx signpost COMMAND`. Each is one file, loaded when it is asked for. */

interface Command {
  name: string;
  summary: string;
  load(): Promise<(args: string[]) => Promise<number>>;
}

const commands: Command[] = [
  { name: 'demo', summary: 'play the whole story with a throw-away instance and print each step', load: async () => (await import('./demo.js')).demo },
  { name: 'simulator', summary: 'run the simulated networks alone: HOST, SIMULATOR_PORT, DATA_DIR', load: async () => (await import('./simulator.js')).simulatorCommand },
  { name: 'create-account', summary: 'EMAIL: make an account, also while sign-up is closed, and print its password', load: async () => (await import('./people.js')).createAccountCommand },
  { name: 'reset-password', summary: 'EMAIL: give somebody who forgot it a new password, and print it', load: async () => (await import('./people.js')).resetPasswordCommand },
  { name: 'backup', summary: 'FILE: copy the embedded database to a file, also while Signpost runs', load: async () => (await import('./copies.js')).backupCommand },
  { name: 'restore', summary: 'FILE: put such a copy in place of the embedded database', load: async () => (await import('./copies.js')).restoreCommand },
  { name: 'migrate', summary: '--to MONGODB_URI: copy the embedded database to a MongoDB; --from MONGODB_URI: bring it back', load: async () => (await import('./copies.js')).migrateCommand },
];

/**
 * @param args what stands behind the command's name
 * @returns the exit code: 0 done, 1 it failed, 2 it was called wrongly
 */
export async function runCommand(name: string, args: string[]): Promise<number> {
  if (name === 'help' || name === '--help' || name === '-h') {
    console.log(usage());
    return 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    console.error(`There is no command ${JSON.stringify(name)}.\n\n${usage()}`);
    return 2;
  }
  const run = await command.load();
  try {
    return await run(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function usage(): string {
  // The launcher does these itself, in its own process.
  const all = [{ name: 'start', summary: 'run Signpost; the same as npm start' }, { name: 'worker', summary: 'run another worker beside it; the same as npm run worker' }, ...commands];
  const width = Math.max(...all.map(({ name }) => name.length));
  return ['Usage: npx signpost COMMAND', '', ...all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)].join('\n');
}
