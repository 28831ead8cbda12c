import { describe, expect, it } from "vitest";

import type { Schema } from "../api/types";
import { controls, kindOf, patternValue } from "./definition";
import { asBody, decodeChoice, encodeChoice, fromQuery, toQuery, type Choice, type Known } from "./state";

const FILTERS: Schema = {
  type: "object",
  properties: {
    kind: { type: "string", enum: ["a", "b", "all"], default: "a" },
    records: { type: "array", items: { type: "string", enum: ["new", "old"] } },
    reason: { oneOf: [{ type: "string" }, { type: "array", items: { type: ["string", "null"] } }, { type: "object" }] },
    day: { type: "string", pattern: "^(?:(?<day>\\d{4}-\\d{2}-\\d{2}):(?<event>new|release))$" },
  },
};
const KNOWN: Known = {
  parameters: [], filters: controls(FILTERS), hasRange: true, columns: new Set(["lot", "qty"]), sortKeys: new Set(["qty"]), rowsViews: new Set(["list"]),
};

/** A generator of its own, so that a failure names a seed that can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

const LETTERS = ["a", ",", "!", "~null", "%", "%2C", "=", "&", "扣留", "\u0000", " ", "'", '"', "<b>", ":", "\n", "😀", ""];

function choice(next: () => number): Choice {
  const values = Array.from({ length: 1 + Math.floor(next() * 4) }, () =>
    next() < 0.1 ? null : Array.from({ length: Math.floor(next() * 4) }, () => LETTERS[Math.floor(next() * LETTERS.length)]).join(""),
  );
  return { exclude: next() < 0.3, values };
}

describe("the address of a page", () => {
  it("brings back any choice of values, commas and marks included", () => {
    const next = random(20260101);
    for (let round = 0; round < 2000; round += 1) {
      const made = choice(next);
      expect(decodeChoice(encodeChoice(made))).toEqual(made);
    }
  });

  it("brings back a whole state through a real query string", () => {
    const next = random(7);
    for (let round = 0; round < 300; round += 1) {
      const reason = choice(next);
      const state = {
        range: "2025-01-01..2025-12-31", scope: {}, slice: { reason, kind: { exclude: false, values: ["b"] } },
        sort: { key: "qty", descending: true }, columns: ["lot"], rowsView: "list", measures: { pareto: "qty" }, compare: "yoy" as const, origin: "hold-history,200,612,hold_time,desc",
      };
      const text = new URLSearchParams(toQuery(state)).toString();
      const back = fromQuery(Object.fromEntries(new URLSearchParams(text)), KNOWN);
      expect(back).toEqual({ state, ignored: [] });
    }
  });

  it("names what means nothing and keeps the rest", () => {
    const { state, ignored } = fromQuery({ r: "2025-02-30..2025-03-01", "x.kind": "c", "x.none": "1", s: "lot:asc", "x.records": "new" }, KNOWN);
    expect(ignored).toEqual(["r", "x.kind", "x.none", "s"]);
    expect(state.slice).toEqual({ records: { exclude: false, values: ["new"] } });
  });
});

describe("a definition", () => {
  it("gives each field its control", () => {
    expect(controls(FILTERS).map((item) => [item.name, item.kind])).toEqual([["day", "pattern"], ["kind", "choice"], ["reason", "match"], ["records", "set"]]);
    expect(kindOf({ type: "string", format: "date" })).toBe("date");
    expect(kindOf({ type: ["integer", "null"] })).toBe("number");
  });

  it("turns choices into what a call takes", () => {
    const body = asBody(controls(FILTERS), { reason: { exclude: true, values: ["x", null] }, kind: { exclude: false, values: ["b"] }, records: { exclude: false, values: [] } });
    expect(body).toEqual({ reason: { exclude: ["x", null] }, kind: "b" });
  });

  it("knows what a point of a trend means to a pattern", () => {
    const day = controls(FILTERS)[0]!;
    expect(patternValue(day, "2025-03-14", "new_hold_qty")).toBe("2025-03-14:new");
    expect(patternValue(day, "2025-03-14", "release_qty")).toBe("2025-03-14:release");
    expect(patternValue(day, "2025-03-14", "hold_qty")).toBeNull();
  });
});
