/** Operator commands: `npx signpost COMMAND`. Each is one file, loaded when it is asked for. */

interface Command {
  name: string;
  summary: string;
  load(): Promise<(args: string[]) => Promise<number>>;
}

const commands: Command[] = [
  { name: 'start', summary: 'run Signpost (the same as npm start)', load: () => Promise.reject(new Error('the launcher starts Signpost itself')) },
  { name: 'demo', summary: 'play the whole story with a throw-away instance and print each step', load: async () => (await import('./demo.js')).demo },
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
  return run(args);
}

function usage(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return ['Usage: npx signpost COMMAND', '', ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)].join('\n');
}
