// @vitest-environment happy-dom
import { expect, it } from "vitest";

import en from "./en.json";
import zh from "./zh-TW.json";
import { language, t } from "./index";

it("has every text in both languages, with the same blanks to fill", () => {
  const blanks = (texts: Record<string, string>): string[][] =>
    Object.entries(texts).map(([key, text]) => [key, ...[...new Set(text.match(/\{\w+\}/g) ?? [])].sort()]);
  expect(blanks(zh)).toEqual(blanks(en));
});

it("picks the form for the number", () => {
  language.value = "en";
  expect([t("receipt.rows", { n: "1" }), t("receipt.rows", { n: "1,200" })]).toEqual(["1 row", "1,200 rows"]);
});
