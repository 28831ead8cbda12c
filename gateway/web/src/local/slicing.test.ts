import { describe, expect, it } from "vitest";

import type { JsonObject, Table } from "../api/types";
import type { Computation } from "./filters";
import { readFrame } from "./frame";
import { bindsOf, columnsRead, LocalTable } from "./slicing";

/** Answers of a real gateway beside the stored table that they were computed from; `make golden` writes them anew. */
interface Golden {
  dataset: string;
  parameters: JsonObject;
  formats: Record<string, string>;
  as_of_time: string;
  computation: Computation;
  looks: { body: JsonObject; views: Record<string, Table> }[];
  frame: string;
}

const goldens = import.meta.glob<Golden>("./goldens/*.json", { eager: true, import: "default" });

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

describe.each(Object.values(goldens).map((golden) => [golden.dataset, golden] as const))("%s, looked at here", (_, golden) => {
  const table = new LocalTable(golden.computation, readFrame(bytesOf(golden.frame), columnsRead(golden.computation)));
  const binds = bindsOf(golden.parameters, golden.formats, golden.as_of_time);
  const views = Object.keys(golden.computation.views);

  it.each(views)("shows the %s that the gateway shows", (view) => {
    for (const { body, views: expected } of golden.looks) {
      const found = table.look({ views: [view], body, binds })[view]!;
      expect([body, found.rows, found.page]).toEqual([body, expected[view]!.rows, expected[view]!.page]);
    }
  });
});
