/** Tables in memory: columns of equal length, and of the large one only the rows that were selected. */

import type { Kind, Value } from "./sql";

/** Values by number; few different ones are kept once, with a code for each row. Code 0 is the missing value. */
export interface Coded {
  codes: Uint16Array | Uint32Array | Uint8Array;
  values: Value[];
}

export interface Column {
  name: string;
  kind: Kind;
  at: (row: number) => Value;
  coded?: Coded;
  /** Numbers as they lie, NaN where one is missing. */
  numbers?: Float64Array;
}

export interface Relation {
  size: number;
  columns: Column[];
  /** Rows of the columns that belong to it, in order; all without it. */
  rows?: Uint32Array | undefined;
}

export function ofValues(name: string, kind: Kind, values: Value[]): Column {
  return { name, kind, at: (row) => values[row] ?? null };
}

/** The row of the columns that stands at a position of the relation. */
export const rowAt = (relation: Relation, position: number): number => (relation.rows ? relation.rows[position]! : position);

/** The relation with rows picked by position; -1 is a row of missing values. */
export function picked(relation: Relation, positions: number[]): Relation {
  const rows = positions.map((position) => (position < 0 ? -1 : rowAt(relation, position)));
  return {
    size: positions.length,
    columns: relation.columns.map(({ name, kind, at }) => ({
      name, kind, at: (position) => { const row = rows[position]!; return row < 0 ? null : at(row); },
    })),
  };
}

/** A key that equal values share and others do not; whole numbers and fractions are numbers alike. */
export function keyOf(value: Value): string {
  if (value === null) return "~";
  return typeof value === "string" ? `s${value}` : typeof value === "number" ? `n${value}` : String(value);
}
