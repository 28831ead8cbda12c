import { expect, test } from "vitest";

import type { Schema } from "../api/types";
import { controls, patternText, patternValue, type Control } from "./definition";
import { composed, fieldsOf, partsOf } from "./patterns";

function filter(pattern: string, labels?: Record<string, Record<string, string>>): Control {
  const schema = { type: "string", pattern: `^(?:${pattern})$`, ...(labels ? { "x-value-labels": labels } : {}) } as Schema;
  return controls({ properties: { days: schema } })[0]!;
}

const DAY = String.raw`(?<day>\d{4}-\d{2}-\d{2}):(?<event>new|release)`;
const DAYS = String.raw`(?<event>new|release):(?<first>\d{4}-\d{2}-\d{2})\.\.(?<last>\d{4}-\d{2}-\d{2})`;
const labels = { new: { en: "placed", "zh-TW": "新增" } };

test("a value is what its fields say, and its fields are what the value says", () => {
  for (const [control, value] of [[filter(DAY), "2025-03-14:release"], [filter(DAYS), "new:2025-03-10..2025-03-16"]] as const) {
    expect(composed(control, fieldsOf(control, value))).toBe(value);
  }
});

test("without a value days are empty and the first word stands, which is no value yet", () => {
  const control = filter(DAY);

  expect(fieldsOf(control, undefined)).toEqual({ day: "", event: "new" });
  expect(composed(control, fieldsOf(control, undefined))).toBeNull();
});

test("days in the wrong order are no value", () => {
  expect(composed(filter(DAYS), { event: "new", first: "2025-03-16", last: "2025-03-10" })).toBeNull();
});

test("a pattern of anything but days and words is typed as text", () => {
  expect([String.raw`(?<day>\d{4}-\d{2}-\d{2}).*`, String.raw`(?<id>[A-Z]+)`, "new"].map((item) => partsOf(filter(item)))).toEqual([null, null, null]);
});

test("people read the words of the value in their language and its days as they are", () => {
  expect(patternText(filter(DAYS, labels), "new:2025-03-10..2025-03-16", "zh-TW")).toBe("新增 2025-03-10 – 2025-03-16");
  expect(patternText(filter(DAY, labels), "2025-03-14:release", "en")).toBe("2025-03-14 release");
});

test("a click on a day of a measure means the word that the measure's name holds", () => {
  expect(patternValue(filter(DAY), "2025-03-14", "release_qty")).toBe("2025-03-14:release");
  expect(patternValue(filter(DAY), "2025-03-14", "hold_qty")).toBeNull();
});
