/** The thread that holds a table and looks at it, so that the page stays quick while it does. */

import type { JsonObject, Table } from "../api/types";
import type { Computation } from "./filters";
import { readFrame } from "./frame";
import { bindsOf, columnsRead, LocalTable } from "./slicing";
import { Refusal } from "./sql";

export interface Opening {
  /** Address of the stored table, as an Arrow stream. */
  address: string;
  computation: Computation;
  parameters: JsonObject;
  /** Format of each parameter of the dataset, such as `date`. */
  formats: Record<string, string>;
  asOf: string | null;
  mostRows: number;
  mostBytes: number;
}
export type Order = { id: number; open: Opening } | { id: number; views: string[]; body: JsonObject };
export type Answer =
  | { id: number; opened: { rows: number; bytes: number } }
  | { id: number; tables: Record<string, Table> }
  | { id: number; refused: string };

let table: LocalTable | null = null;
let binds: ReturnType<typeof bindsOf> = {};

async function open(order: Opening): Promise<{ rows: number; bytes: number }> {
  const response = await fetch(order.address);
  if (!response.ok || !response.body) throw new Refusal(`HTTP ${response.status}`);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    bytes += piece.value.length;
    if (bytes > order.mostBytes) {
      await reader.cancel();
      throw new Refusal(`more than ${order.mostBytes} bytes`);
    }
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  const relation = readFrame(whole, columnsRead(order.computation));
  if (relation.size > order.mostRows) throw new Refusal(`more than ${order.mostRows} rows`);
  table = new LocalTable(order.computation, relation);
  binds = bindsOf(order.parameters, order.formats, order.asOf);
  return { rows: relation.size, bytes };
}

async function answer(order: Order): Promise<Answer> {
  try {
    if ("open" in order) return { id: order.id, opened: await open(order.open) };
    if (!table) throw new Refusal("no table");
    return { id: order.id, tables: table.look({ views: order.views, body: order.body, binds }) };
  } catch (error) {
    // What is not computed here is the gateway's to compute; so is what went wrong on the way.
    return { id: order.id, refused: error instanceof Error ? error.message : String(error) };
  }
}

self.onmessage = (event: MessageEvent<Order>): void => void answer(event.data).then((found) => self.postMessage(found));
