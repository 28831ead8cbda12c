import { tableFromArrays, tableFromIPC, tableToIPC, utf8 } from "@uwdata/flechette";
import { describe, expect, it } from "vitest";

import { textCodes, type TextBatch } from "./texts";

function batches(texts: (string | null)[]): TextBatch[] {
  const bytes = tableToIPC(tableFromArrays({ text: texts }, { types: { text: utf8() } }), {})!;
  return tableFromIPC(bytes).getChild("text").data as unknown as TextBatch[];
}

describe("codes of texts", () => {
  it("stand for the same texts, missing and empty ones apart", () => {
    const texts = Array.from({ length: 5000 }, (_, row) => ["scratch", null, "", "void", "\u{1F600}", "刮傷", "voie"][(row * row) % 7]!);
    const found = textCodes(batches(texts), texts.length)!;
    expect(texts.map((_, row) => found.values[found.codes[row]!])).toEqual(texts);
    expect(new Set(found.values).size).toBe(found.values.length);
  });

  it("are those of one column where it comes in pieces", () => {
    const [one, other] = [["a", "b", null], ["b", "c", "a"]] as const;
    const found = textCodes([...batches([...one]), ...batches([...other])], 6)!;
    expect([...found.codes].map((code) => found.values[code])).toEqual([...one, ...other]);
    expect(found.values).toEqual([null, "a", "b", "c"]);
  });

  it("are not made where nearly every text is another one", () => {
    const lots = Array.from({ length: 20_000 }, (_, row) => `GA${row}`);
    expect(textCodes(batches(lots), lots.length)).toBeNull();
  });
});
