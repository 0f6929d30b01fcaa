/** `$median` and `$percentile`: the value below which a share of the numbers lies. */
import { isNumber, toNumber } from './arithmetic.js';
import { doubleValue, type Doc } from './bson-decode.js';
import { CommandError } from './command-error.js';

/** The shares that are asked for: `p`, or a half. @throws CommandError */
export function percentileRanks(operator: string, spec: Doc | null, p: unknown): number[] {
  if (!spec) throw new CommandError(7436100, `specification must be an object; found ${operator}`);
  if (spec['method'] !== 'approximate') throw new CommandError(2, "Currently only 'approximate' can be used as percentile 'method'.");
  if (operator === '$median') return [0.5];
  if (!Array.isArray(p) || p.length === 0) throw new CommandError(7750300, "The $percentile 'p' field must be an array of numbers from [0.0, 1.0]");
  const ranks = p.map((one) => (isNumber(one) ? toNumber(one) : NaN));
  if (ranks.some((rank) => !(rank >= 0 && rank <= 1))) throw new CommandError(7750303, "The $percentile 'p' field must be an array of numbers from [0.0, 1.0]");
  return ranks;
}

export function percentiles(numbers: readonly number[], operator: string, ranks: readonly number[]): unknown {
  const ordered = Float64Array.from(numbers).sort();
  const at = (rank: number): unknown => (ordered.length === 0 ? null : doubleValue(ordered[Math.max(0, Math.ceil(rank * ordered.length) - 1)]!));
  return operator === '$median' ? at(0.5) : ranks.map(at);
}
