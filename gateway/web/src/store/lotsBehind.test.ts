import { tableFromArrays, tableToIPC } from "@uwdata/flechette";
import { expect, test } from "vitest";

import type { Api } from "../api/client";
import type { JsonObject, Look, View } from "../api/types";
import { lotsOf } from "./lotsBehind";

const view = { name: "list", columns: [{ name: "lot_id", type: "string" }] } as unknown as View;

/** A gateway that has these lots, one to a row. */
function gateway(lots: (string | null)[], rows = lots.length): Pick<Api, "look" | "rows"> & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    look: (_route: string, body: JsonObject) => {
      const page = Number(body["page"]);
      asked.push(`page ${page}`);
      const shown = lots.slice((page - 1) * 200, page * 200).map((lot) => [lot]);
      const table = { columns: [{ name: "lot_id", type: "string" }], rows: shown, page: { page, page_size: 200, total_count: rows, page_count: Math.ceil(rows / 200) } };
      return Promise.resolve({ views: { list: table } } as unknown as Look);
    },
    rows: () => {
      asked.push("all rows");
      return Promise.resolve(tableToIPC(tableFromArrays({ lot_id: lots }), { format: "stream" }) as Uint8Array);
    },
  };
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `L${at}`);

test("rows of one page say all of their lots", async () => {
  const from = gateway(["L1", "L2", null, "L1"]);

  expect(await lotsOf(from, "holds", view, {})).toEqual({ names: ["L1", "L2"], total: 2, more: false });
  expect(from.asked).toEqual(["page 1"]);
});

test("all lots are counted where an address carries only the first of them", async () => {
  const from = gateway([...numbered(1234), "L7", null]);

  const lots = await lotsOf(from, "holds", view, {});

  expect([lots.total, lots.more, lots.names.length, lots.names[599]]).toEqual([1234, false, 600, "L599"]);
  expect(from.asked).toEqual(["page 1", "all rows"]);
});

test("of rows that are too many to fetch the first lots are named and the others are not counted", async () => {
  const lots = await lotsOf(gateway(numbered(2000), 150_000), "holds", view, {});

  expect([lots.total, lots.more, lots.names.length]).toEqual([600, true, 600]);
});
