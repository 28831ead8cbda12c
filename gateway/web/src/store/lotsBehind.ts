/** The lots behind rows: all of them are counted, the first of them named. */

import { tableFromIPC } from "@uwdata/flechette";

import type { Api } from "../api/client";
import type { JsonObject, View } from "../api/types";
import { lotColumn } from "./definition";
import { MOST_LOTS } from "./lots";

/** More rows than these are not fetched to count their lots; some tens of megabytes. */
const MOST_ROWS = 100_000;
const MOST_PAGES = 12;
const PAGE = 200;

export interface Lots {
  /** The first different lots in the order of the rows. */
  names: string[];
  /** How many different lots there are. */
  total: number;
  /** Whether there are more than the total, as not all rows were looked through. */
  more: boolean;
}

/** The different lots of a view's rows: as many names as an address carries, and how many lots there are. */
export async function lotsOf(api: Pick<Api, "look" | "rows">, route: string, view: View, body: JsonObject): Promise<Lots> {
  const column = lotColumn(view) ?? "";
  const names = new Set<string>();
  for (let page = 1; ; page += 1) {
    const table = (await api.look(route, { ...body, page, page_size: PAGE })).views[view.name];
    const { page_count: pages = 1, total_count: rows = 0 } = table?.page ?? {};
    if (pages > 1 && rows <= MOST_ROWS) return counted(lotNames(await api.rows(route, { ...body, view: view.name }), column), false);
    const at = table?.columns.findIndex((item) => item.name === column) ?? -1;
    for (const row of table?.rows ?? []) if (row[at] !== null && row[at] !== undefined) names.add(String(row[at]));
    if (page >= pages || page >= MOST_PAGES || names.size > MOST_LOTS) return counted(names, page < pages);
  }
}

function counted(names: Set<string>, more: boolean): Lots {
  const first = [...names].slice(0, MOST_LOTS);
  return { names: first, total: more ? first.length : names.size, more };
}

/** The different values of a column of an Arrow stream in their order; what is missing is none. */
export function lotNames(bytes: Uint8Array, column: string): Set<string> {
  const names = new Set<string>();
  for (const value of tableFromIPC(bytes).getChild(column) ?? []) if (value !== null && value !== undefined) names.add(String(value));
  return names;
}
