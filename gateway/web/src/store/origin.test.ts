// @vitest-environment happy-dom
import { expect, test } from "vitest";

import type { Dataset } from "../api/types";
import { setLanguage } from "../i18n";
import { decodeOrigin, encodeOrigin, type Origin } from "./origin";
import { originText } from "./originWords";

const origin: Origin = { dataset: "hold-history", taken: 200, total: 612, more: false, sort: { key: "hold_time", descending: true } };
const datasets = [
  {
    name: "hold-history", title: "Hold history", labels: { "zh-TW": "Hold 歷史" },
    views: [{ name: "list", paged: true, sort_keys: [{ name: "hold_time", descending: true }], columns: [{ name: "hold_time", title: "Held", type: "timestamp[s]", labels: { "zh-TW": "Hold 時間" } }] }],
  },
] as unknown as Dataset[];

test("an origin survives the address, and what is none is none", () => {
  const more = { ...origin, more: true };

  expect([origin, more].map((item) => decodeOrigin(encodeOrigin(item)))).toEqual([origin, more]);
  expect(["", "x", "hold-history,200", "hold-history,200,612,<b>,desc", undefined].map(decodeOrigin)).toEqual([null, null, null, null, null]);
});

test("what was left out is said with the order in which lots were taken, in both languages", async () => {
  await setLanguage("en");
  const english = originText(origin, datasets);
  await setLanguage("zh-TW");
  const chinese = originText({ ...origin, more: true }, datasets);
  await setLanguage("en");

  expect(english).toBe("200 of 612 lots of Hold history: the first by Held, latest first.");
  expect(chinese).toBe("取自Hold 歷史:超過 612 批中的前 200 批,順序為Hold 時間(由新到舊)。");
});

test("nothing left out is said as well", () => {
  expect(originText({ ...origin, taken: 612 }, datasets)).toBe("All 612 lots of the chosen rows of Hold history.");
});
