/** `npm run bench -- NAME`: runs one bench with its references in the same run, prints a table and one last line of JSON. */
import { readdirSync } from 'node:fs';
import path from 'node:path';

export interface Goal {
  /** What is asked for, e.g. `>= 0.25`. */
  want: string | number;
  got: number;
  ok: boolean;
}

export interface BenchResult {
  /** Name to number; the unit is in the name, e.g. `postsPerSecond`. */
  figures: Record<string, number>;
  goals: Record<string, Goal>;
}

/** What a file `NAME.bench.ts` in this folder exports as `bench`. */
export interface Bench {
  name: string;
  /** One line: what is measured beside what, and the goal. */
  description: string;
  run(): Promise<BenchResult>;
}

/** A goal that is met from `want` on. */
export function atLeast(want: number, got: number): Goal {
  return { want: `>= ${want}`, got, ok: got >= want };
}

/** A goal that is met up to `want`. */
export function atMost(want: number, got: number): Goal {
  return { want: `<= ${want}`, got, ok: got <= want };
}

/** @returns the exit code: 0 all goals met, 1 one was missed, 2 there is no such bench */
export async function runBench(args: string[]): Promise<number> {
  const benches = await loadBenches();
  const [name] = args;
  if (name === undefined) {
    console.log('npm run bench -- NAME, with one of:\n');
    for (const bench of benches) console.log(`  ${bench.name.padEnd(20)} ${bench.description}`);
    return 0;
  }
  const bench = benches.find((candidate) => candidate.name === name);
  if (bench === undefined) {
    console.error(`There is no bench ${JSON.stringify(name)}. There are: ${benches.map((candidate) => candidate.name).join(', ')}.`);
    return 2;
  }
  console.log(`${bench.name}: ${bench.description}\n`);
  const { figures, goals } = await bench.run();
  print(figures, goals);
  console.log(JSON.stringify({ bench: bench.name, figures: rounded(figures), goals }));
  return Object.values(goals).every((goal) => goal.ok) ? 0 : 1;
}

async function loadBenches(): Promise<Bench[]> {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.bench.js')).sort();
  const modules = await Promise.all(files.map((file) => import(path.join(import.meta.dirname, file)) as Promise<{ bench?: Bench }>));
  return modules.map((module, i) => {
    if (module.bench === undefined) throw new Error(`${files[i]} exports no \`bench\``);
    return module.bench;
  });
}

function print(figures: Record<string, number>, goals: Record<string, Goal>): void {
  const width = Math.max(...[...Object.keys(figures), ...Object.keys(goals)].map((key) => key.length));
  for (const [key, value] of Object.entries(figures)) console.log(`  ${key.padEnd(width)}  ${format(value).padStart(14)}`);
  console.log('');
  for (const [key, { want, got, ok }] of Object.entries(goals)) console.log(`  ${key.padEnd(width)}  want ${want}, got ${format(got)}: ${ok ? 'met' : 'MISSED'}`);
  console.log('');
}

function rounded(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, Number(value.toPrecision(6))]));
}

function format(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 10 ? 3 : 0 });
}
