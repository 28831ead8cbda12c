/** Tables in memory: columns of equal length, and of the large one only the rows that were selected. */

import type { Kept } from "./kept";
import type { Kind, Value } from "./sql";

/** Values by number; few different ones are kept once, with a code for each row. Code 0 is the missing value. */
export interface Coded {
  codes: Uint32Array | Uint16Array | Uint8Array;
  values: Value[];
  /** No two codes have equal values. */
  unique?: boolean;
}

export interface Column {
  name: string;
  kind: Kind;
  at: (row: number) => Value;
  coded?: Coded | undefined;
  /** Numbers as they lie, NaN where one is missing. */
  numbers?: Float64Array | undefined;
  /** Names the same values in every look at a table of the page. */
  key?: string | undefined;
}

export interface Relation {
  size: number;
  columns: Column[];
  /** Rows of the columns that belong to it, in order; all without it. */
  rows?: Uint32Array | undefined;
  /** What was computed for all rows of the columns. */
  kept?: Kept | undefined;
}

/** A column of days or flags with more values than this is kept as numbers. */
const MOST_CODES = 60_000;

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

/** Codes as narrow as they can be: what is read for rows here and there then mostly lies in the processor's cache. */
export function coded(codes: Uint32Array, values: Value[]): Coded {
  const narrow = values.length <= 0x100 ? Uint8Array.from(codes) : values.length <= 0x10000 ? Uint16Array.from(codes) : codes;
  return { codes: narrow, values, unique: true };
}

export function codeOf(value: Value, known: Map<Value, number>, values: Value[]): number {
  let code = known.get(value);
  if (code === undefined) {
    code = values.length;
    known.set(value, code);
    values.push(value);
  }
  return code;
}

/** Codes of numbers; null where too many of them are different. */
export function codesOf(numbers: Float64Array): Coded | null {
  const codes = new Uint32Array(numbers.length);
  const values: Value[] = [null];
  const known = new Map<Value, number>();
  for (let row = 0; row < numbers.length; row += 1) {
    const x = numbers[row]!;
    if (Number.isNaN(x)) continue;
    codes[row] = codeOf(x, known, values);
    if (values.length > MOST_CODES) return null;
  }
  return coded(codes, values);
}
