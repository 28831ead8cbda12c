import { describe, expect, it } from "vitest";

import type { Column, Dataset, View } from "../api/types";
import { filtersOf } from "./definition";
import { lastDay, stretchChoice, stretchFilter, stretchOf } from "./brush";

const PATTERN = "^(?:(?<event>new|release):(?<first>\\d{4}-\\d{2}-\\d{2})\\.\\.(?<last>\\d{4}-\\d{2}-\\d{2}))$";
const axis = (filter?: string): Column => ({ name: "day", type: "date32[day]", role: "time", filter: filter ?? null });
const view = { name: "trend", filters: [] as string[] } as unknown as View;

function dataset(properties: Record<string, object>): Dataset {
  return { filters: { properties }, views: [] } as unknown as Dataset;
}

const TWO_DAYS = dataset({ stretch: { type: "string", pattern: PATTERN } });
const MATCH = dataset({ days: { oneOf: [{ type: "string" }, { type: "array" }, { type: "object" }] } });

describe("a stretch of an axis", () => {
  it("is the filter that takes two days, with the event that the measure names", () => {
    const control = stretchFilter(TWO_DAYS, axis(), view)!;
    const made = stretchChoice(control, { first: "2025-03-01", last: "2025-03-09" }, "release_qty")!;
    expect(made.values).toEqual(["release:2025-03-01..2025-03-09"]);
    expect(stretchOf(control, made)).toEqual({ first: "2025-03-01", last: "2025-03-09" });
  });

  it("is a list of days where the axis names a filter of values", () => {
    const control = stretchFilter(MATCH, axis("days"), view)!;
    expect(stretchChoice(control, { first: "2025-02-27", last: "2025-03-01" }, "qty")!.values).toEqual(["2025-02-27", "2025-02-28", "2025-03-01"]);
  });

  it("means nothing to a dataset without such a filter", () => {
    expect(stretchFilter(dataset({ reason: { type: "string" } }), axis(), view)).toBeNull();
  });

  it("covers the whole week or month of its last point", () => {
    expect([lastDay("2025-03-03", "week"), lastDay("2024-02-01", "month"), lastDay("2025-12-01", "month"), lastDay("2025-03-03", "day")]).toEqual(["2025-03-09", "2024-02-29", "2025-12-31", "2025-03-03"]);
  });

  it("takes its filters in a form that the page knows", () => {
    expect(filtersOf(TWO_DAYS).map((item) => item.kind)).toEqual(["pattern"]);
  });
});
