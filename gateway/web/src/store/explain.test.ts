import { describe, expect, it } from "vitest";

import type { OptionList } from "../api/types";
import { chanceOf, differences, logFactorial } from "./explain";

const list = (counts: Record<string, number>, truncated = false): OptionList => ({
  values: Object.entries(counts).map(([value, row_count]) => ({ value, row_count })), truncated,
});

/** The tail in whole numbers, term by term. */
function exact(seen: number, drawn: number, marked: number, all: number): number {
  const choose = (n: number, k: number): bigint => {
    if (k < 0 || k > n) return 0n;
    let product = 1n;
    for (let at = 1; at <= k; at += 1) product = (product * BigInt(n - k + at)) / BigInt(at);
    return product;
  };
  let sum = 0n;
  for (let k = seen; k <= Math.min(drawn, marked); k += 1) sum += choose(marked, k) * choose(all - marked, drawn - k);
  return Number((sum * 10n ** 15n) / choose(all, drawn)) / 1e15;
}

describe("chance", () => {
  it("has the factorials right", () => {
    expect(logFactorial(0)).toBeCloseTo(0, 10);
    expect(logFactorial(10)).toBeCloseTo(Math.log(3_628_800), 9);
    expect(logFactorial(170)).toBeCloseTo(706.5730622457873, 7);
  });

  it("is that of drawing without putting back, for every table up to twelve rows", () => {
    for (let all = 2; all <= 12; all += 1) {
      for (let drawn = 1; drawn < all; drawn += 1) {
        for (let marked = 1; marked <= all; marked += 1) {
          for (let seen = 0; seen <= Math.min(drawn, marked); seen += 1) {
            expect(chanceOf(seen, drawn, marked, all)).toBeCloseTo(exact(seen, drawn, marked, all), 9);
          }
        }
      }
    }
  });

  it("stays right for tens of thousands of rows", () => {
    expect(chanceOf(30, 400, 900, 40_000)).toBeCloseTo(exact(30, 400, 900, 40_000), 9);
  });
});

describe("differences", () => {
  it("names the value that the chosen rows share and the rest do not, first", () => {
    const chosen = { machine: list({ A: 40, B: 5, C: 5 }), shift: list({ day: 26, night: 24 }) };
    const all = { machine: list({ A: 60, B: 170, C: 170 }), shift: list({ day: 200, night: 200 }) };

    const [first, ...rest] = differences(chosen, all, {});

    expect(first).toMatchObject({ field: "machine", value: "A", inside: 40, chosen: 50, outside: 20, rest: 350 });
    expect(first!.chance).toBeLessThan(1e-6);
    expect(rest.every((item) => item.chance > 0.05)).toBe(true);
  });

  it("leaves out what was chosen by, and lists that were cut", () => {
    const chosen = { reason: list({ R1: 9 }), lot: list({ L1: 9 }, true) };
    const all = { reason: list({ R1: 9, R2: 90 }), lot: list({ L1: 9, L2: 90 }, true) };

    expect(differences(chosen, all, { reason: { values: ["R1"] } })).toEqual([]);
  });

  it("leaves out what says the same under another name", () => {
    const chosen = { detail: list({ R1: 9 }), machine: list({ A: 9 }) };
    const all = { detail: list({ R1: 9, R2: 90 }), machine: list({ A: 9, B: 90 }) };

    expect(differences(chosen, all, { reason: { values: ["R1"] } }).map((item) => item.field)).toEqual(["machine"]);
  });

  it("claims nothing where everything is chosen", () => {
    const all = { machine: list({ A: 10, B: 10 }) };

    expect(differences(all, all, {})).toEqual([]);
  });
});
