/** What sets the chosen rows apart from the rest: values that are more frequent among them than chance would have it. */

import type { OptionList } from "../api/types";

export interface Difference {
  field: string;
  value: string | null;
  /** Rows with the value among the chosen, and how many chosen there are. */
  inside: number;
  chosen: number;
  /** The same for all other rows. */
  outside: number;
  rest: number;
  /** How many times as frequent as in the rest; infinite where the rest has none. */
  lift: number;
  /** Chance of at least so many if the chosen rows had been drawn blindly, for as many values as were compared. */
  chance: number;
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905, -0.13857109526572012,
  9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** Natural logarithm of n!, by Lanczos' approximation; right to ten digits. */
export function logFactorial(n: number): number {
  let sum = 0.99999999999980993;
  for (let at = 0; at < LANCZOS.length; at += 1) sum += LANCZOS[at]! / (n + 1 + at);
  const t = n + LANCZOS.length - 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (n + 0.5) * Math.log(t) - t + Math.log(sum);
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

/** Chance that `drawn` out of `all` rows hold at least `seen` of the `marked` ones (hypergeometric tail, Fisher's test). */
export function chanceOf(seen: number, drawn: number, marked: number, all: number): number {
  const whole = logChoose(all, drawn);
  const term = (k: number): number => Math.exp(logChoose(marked, k) + logChoose(all - marked, drawn - k) - whole);
  let sum = 0;
  const least = Math.max(seen, drawn + marked - all);
  for (let k = least; k <= Math.min(drawn, marked); k += 1) {
    const next = term(k);
    sum += next;
    // Past the mode the terms only shrink.
    if (next < sum * 1e-12 && k > (drawn * marked) / all) break;
  }
  return Math.min(1, sum);
}

const count = (list: OptionList): number => list.values.reduce((sum, item) => sum + item.row_count, 0);

/**
 * The values that set the chosen rows apart, the surest first.
 *
 * `chosen` and `all` are the options with and without the slice. Fields of the slice itself are left out, as they differ by
 * choice, and so is what says the same under another name: a value of the slice that exactly the chosen rows have. So are
 * lists that were cut, as their sums would be wrong.
 */
export function differences(
  chosen: Record<string, OptionList>, all: Record<string, OptionList>, slice: Record<string, { values: (string | null)[] }>,
): Difference[] {
  const taken = new Set(Object.values(slice).flatMap((choice) => choice.values));
  const found: Difference[] = [];
  let compared = 0;
  for (const [field, list] of Object.entries(chosen)) {
    const whole = all[field];
    if (!whole || field in slice || list.truncated || whole.truncated) continue;
    const inside = new Map(list.values.map((item) => [item.value, item.row_count]));
    const drawn = count(list);
    const total = count(whole);
    if (drawn === 0 || drawn >= total || whole.values.length < 2) continue;
    for (const { value, row_count: marked } of whole.values) {
      compared += 1;
      const seen = inside.get(value) ?? 0;
      const outside = marked - seen;
      const lift = outside === 0 ? Infinity : seen / drawn / (outside / (total - drawn));
      if (seen < 2 || lift <= 1 || (outside === 0 && seen === drawn && taken.has(value))) continue;
      found.push({ field, value, inside: seen, chosen: drawn, outside, rest: total - drawn, lift, chance: chanceOf(seen, drawn, marked, total) });
    }
  }
  return found
    .map((item) => ({ ...item, chance: Math.min(1, item.chance * compared) }))
    .sort((one, other) => one.chance - other.chance || other.lift - one.lift || other.inside - one.inside);
}

/** How sure it is, in three steps; below the last nothing is claimed. */
export function surety(chance: number): "sure" | "likely" | "weak" {
  return chance < 0.001 ? "sure" : chance < 0.05 ? "likely" : "weak";
}
