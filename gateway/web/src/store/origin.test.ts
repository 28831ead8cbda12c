// @vitest-environment happy-dom
import { expect, test } from "vitest";

import type { Dataset } from "../api/types";
import { setLanguage } from "../i18n";
import { decodeOrigin, encodeOrigin, type Origin } from "./origin";
import { originText } from "./originWords";

const origin: Origin = { dataset: "hold-history", taken: 200, total: 612, more: false, sort: { key: "hold_time", descending: true }, days: null, filters: [] };
const narrowed: Origin = {
  ...origin, total: 1234, days: { first: "2025-03-01", last: "2025-03-31" },
  filters: [{ name: "reason", choice: { exclude: false, values: ["!yield, low+|~!%"] }, more: 0 }, { name: "package", choice: { exclude: true, values: [null, "A", "~"] }, more: 12 }],
};
const datasets = [
  {
    name: "hold-history", title: "Hold history", labels: { "zh-TW": "Hold 歷史" },
    filters: { properties: { reason: { type: "string", oneOf: [{ type: "object" }], title: "Reason", labels: { "zh-TW": "原因" } } } },
    views: [{ filters: ["reason"], name: "list", paged: true, sort_keys: [{ name: "hold_time", descending: true }], columns: [{ name: "hold_time", title: "Held", type: "timestamp[s]", labels: { "zh-TW": "Hold 時間" } }] }],
  },
] as unknown as Dataset[];

test("an origin survives the address, and what is none is none", () => {
  const all = [origin, { ...origin, more: true }, narrowed, { ...narrowed, days: null }];
  const wrong = ["", "x", "hold-history,200", "hold-history,200,612,<b>,desc", "hold-history,200,612,hold_time,desc,%", "hold-history,200,612,hold_time,desc,reason:%", undefined];

  expect(all.map((item) => decodeOrigin(encodeOrigin(item)))).toEqual(all);
  expect(wrong.map(decodeOrigin)).toEqual(wrong.map(() => null));
});

test("what was left out is said with the order in which lots were taken, in both languages", async () => {
  await setLanguage("en");
  const english = originText(origin, datasets);
  await setLanguage("zh-TW");
  const chinese = originText({ ...origin, more: true }, datasets);
  await setLanguage("en");

  expect(english).toBe("The first 200 of 612 lots of Hold history. Order: Held, latest first.");
  expect(chinese).toBe("Hold 歷史：超過 612 批中的前 200 批，順序為Hold 時間(由新到舊)。");
});

test("the rows are named by the bar, what else they were narrowed by and their days, in both languages", async () => {
  await setLanguage("en");
  const english = originText(narrowed, datasets);
  await setLanguage("zh-TW");
  const chinese = originText({ ...narrowed, taken: 1234 }, datasets);
  await setLanguage("en");

  expect(english).toBe("The first 200 of 1,234 lots of Hold history · Reason: !yield, low+|~!% · package: ≠ (none), A, ~ +12 · 2025-03-01 – 2025-03-31. Order: Held, latest first.");
  expect(chinese).toBe("Hold 歷史 · 原因: !yield, low+|~!% · package: ≠ (無), A, ~ +12 · 2025-03-01 – 2025-03-31：全部 1,234 批。");
});

test("nothing left out is said as well", () => {
  expect(originText({ ...origin, taken: 612 }, datasets)).toBe("All 612 lots of Hold history.");
});
