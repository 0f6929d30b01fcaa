/** Reads the operator's plans at start; what is wrong with them stops the start with every problem listed. */
import { existsSync, readFileSync } from 'node:fs';
import { startProblem } from '../lib/start-problem.js';
import { defaultPlans, type PlanBook } from './plan.js';
import { readPlans } from './plan-schema.js';

/**
 * @param named the file that a setting names; it has to be there
 * @param usual where a file is looked for else; without it the default plans hold
 */
export function loadPlans(named: string | null, usual: string): PlanBook {
  const file = named ?? usual;
  if (named === null && !existsSync(usual)) return defaultPlans;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw startProblem(`The plans can't be read from ${file}: ${error instanceof Error ? error.message : String(error)}. Check PLANS_FILE.`, error);
  }
  const plans = readPlans(text);
  if (!Array.isArray(plans)) return plans;
  throw startProblem(`Signpost can't start with the plans in ${file}:\n${plans.map((problem) => `  - ${problem}`).join('\n')}`);
}
