import { expect, it } from "vitest";

import type { Table, View } from "../api/types";
import { change, earlier, valuesByKey } from "./compare";

it("takes as many days right before, over months and leap days", () => {
  expect(earlier("2024-03-01", "2024-03-31", "prev")).toEqual({ start: "2024-01-30", end: "2024-02-29" });
  expect(earlier("2025-06-05", "2025-06-05", "prev")).toEqual({ start: "2025-06-04", end: "2025-06-04" });
});

it("takes the same days of the year before", () => {
  expect(earlier("2025-01-01", "2025-12-31", "yoy")).toEqual({ start: "2024-01-01", end: "2024-12-31" });
  expect(earlier("2024-02-29", "2024-03-01", "yoy")).toEqual({ start: "2023-02-28", end: "2023-03-01" });
});

it("says how a figure moved, and nothing where that means nothing", () => {
  expect(change(150, 100)).toBe(50);
  expect(change(-50, -100)).toBe(50);
  expect([change(5, 0), change(null, 5), change(5, undefined), change("5", 5)]).toEqual([null, null, null, null]);
});

it("finds the other range's value by what the row is about, a missing name included", () => {
  const view = { columns: [{ name: "reason", type: "string" }, { name: "qty", type: "int64" }] } as unknown as View;
  const table = { columns: [{ name: "qty", type: "int64" }, { name: "reason", type: "string" }], rows: [[3, "R1"], [4, null]] } as Table;

  expect([...valuesByKey(view, table, "qty")]).toEqual([["R1", 3], ["null", 4]]);
});
