// @vitest-environment happy-dom
import { expect, it } from "vitest";

import { ticks, toSvg } from "./chartFile";

it("marks of an axis are round, and hold all values", () => {
  expect(ticks(0, 87)).toEqual([0, 50, 100]);
  expect(ticks(-3, 9)).toEqual([-5, 0, 5, 10]);
});

it("a name with markup is a text in the file", () => {
  const markup = "<script>alert(1)</script>";
  const drawings = [
    toSvg({ kind: "bars", title: markup, measure: markup, bars: [{ name: markup, value: 3, shown: "3" }] }),
    toSvg({ kind: "lines", title: markup, measure: "", categories: ["2025-01-01", "2025-01-02"], series: [{ name: markup, color: "#000", values: [1, null] }] }),
    toSvg({ kind: "cells", title: markup, measure: "", columns: [markup], rows: [markup], values: [[1]] }),
  ];
  for (const text of drawings) {
    expect(text).not.toContain("<script");
    expect(text).toContain("&lt;script");
  }
});
