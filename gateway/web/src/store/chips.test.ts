import { expect, test } from "vitest";

import type { Dataset, Schema, View } from "../api/types";
import { chipsOf, untouching } from "./chips";
import { filtersOf } from "./definition";

const view = (name: string, filters: string[], chart: string | null, column = "day"): View => ({
  name, title: name, chart, paged: false, filters, sort_keys: [],
  columns: [{ name: column, type: "string", role: "dimension" }, { name: "qty", type: "int64", role: "measure" }],
});
const properties: Record<string, Schema> = {
  type: { type: "string", enum: ["good", "bad", "all"], default: "bad", "x-every": "all" },
  records: { type: "array", items: { type: "string", enum: ["new", "old"] }, default: ["new"] },
  reason: { oneOf: [{ type: "string" }, { type: "object" }] },
  mode: { type: "string", enum: ["one", "two"], default: "one" },
};
const dataset = {
  filters: { type: "object", properties },
  views: [view("pareto", ["type", "records", "mode"], "pareto", "reason"), view("trend", [], "line"), view("rows", ["type", "records", "reason", "mode"], null)],
} as unknown as Dataset;
const filters = filtersOf(dataset);
const only = (...values: string[]) => ({ exclude: false, values });

test("what a dataset presets has a chip like what people choose", () => {
  const chips = chipsOf(filters, { reason: only("Scratch") });

  expect(chips.map((chip) => [chip.control.name, chip.preset])).toEqual([["type", true], ["records", true], ["mode", true], ["reason", false]]);
});

test("a preset that is removed leaves every row, and a choice without a preset nothing", () => {
  const removed = Object.fromEntries(chipsOf(filters, { reason: only("Scratch") }).map((chip) => [chip.control.name, chip.removed]));

  expect(removed).toEqual({ type: only("all"), records: only("new", "old"), mode: undefined, reason: null });
});

test("a choice of everything narrows nothing and has no chip", () => {
  const chips = chipsOf(filters, { type: only("all"), records: only("old", "new") });

  expect(chips.map((chip) => chip.control.name)).toEqual(["mode"]);
});

test("a view names the chips that leave it alone, but not the one that its own bars set", () => {
  const chips = chipsOf(filters, { reason: only("Scratch") });
  const named = dataset.views.map((item) => untouching(dataset, item, chips).map((chip) => chip.control.name));

  expect(named).toEqual([[], ["type", "records", "mode", "reason"], []]);
});
