/** A stored table, an Arrow stream, as columns to compute with. */

import { tableFromIPC, Type, type Column as ArrowColumn } from "@uwdata/flechette";

import { coded, codeOf, codesOf, type Coded, type Column, type Relation } from "./relation";
import type { Kind, Value } from "./sql";
import { textCodes, type TextBatch } from "./texts";

/** The dictionary index and the unit of an instant, as flechette numbers them. */
const MICROS_OF_UNIT = [1_000_000, 1000, 1, 0.001];

interface ArrowType { typeId: number; bitWidth?: number; unit?: number; dictionary?: ArrowType; scale?: number }
interface ArrowBatch { length: number; nullCount: number; values: ArrayLike<number | bigint>; at: (index: number) => unknown; isValid: (index: number) => boolean }

/** Columns that are asked for, by name; the stream may hold more. */
export function readFrame(bytes: Uint8Array, wanted: Set<string>): Relation {
  const table = tableFromIPC(bytes);
  const columns: Column[] = [];
  for (const name of table.names) {
    const found = wanted.has(name) ? columnOf(name, table.getChild(name) as ArrowColumn<unknown>, table.numRows) : null;
    if (found) columns.push(found);
  }
  return { size: table.numRows, columns };
}

/** The column; null for types that are not computed with, so that a view that reads it is refused. */
function columnOf(name: string, column: ArrowColumn<unknown>, size: number): Column | null {
  const type = column.type as ArrowType;
  const batches = column.data as unknown as ArrowBatch[];
  switch (type.typeId) {
    case Type.Dictionary:
      if (type.dictionary?.typeId !== Type.Utf8 && type.dictionary?.typeId !== Type.LargeUtf8) return null;
      return ofCodes(name, "text", dictionaryCodes(batches, size));
    case Type.Utf8:
    case Type.LargeUtf8: {
      const found = textCodes(batches as unknown as TextBatch[], size);
      return found ? ofCodes(name, "text", found) : { name, kind: "text", at: (row) => (column.at(row) as string | null) ?? null };
    }
    case Type.Bool:
      return ofCodes(name, "bool", flagCodes(batches, size));
    case Type.Int:
      return ofNumbers(name, "int", numbersOf(batches, size, 1));
    case Type.Float:
      return ofNumbers(name, "double", numbersOf(batches, size, 1));
    case Type.Date: {
      if (type.unit !== 0) return null;
      const numbers = numbersOf(batches, size, 1);
      const found = codesOf(numbers);
      return found ? { ...ofCodes(name, "date", found), numbers } : ofNumbers(name, "date", numbers);
    }
    case Type.Timestamp:
      return ofNumbers(name, "time", numbersOf(batches, size, MICROS_OF_UNIT[type.unit ?? 0] ?? 1));
    default:
      return null;
  }
}

function ofNumbers(name: string, kind: Kind, numbers: Float64Array): Column {
  return { name, kind, numbers, at: (row) => { const x = numbers[row]!; return Number.isNaN(x) ? null : x; } };
}

function ofCodes(name: string, kind: Kind, found: Coded): Column {
  const { codes, values } = found;
  return { name, kind, coded: found, at: (row) => values[codes[row]!] ?? null };
}

function numbersOf(batches: ArrowBatch[], size: number, factor: number): Float64Array {
  const numbers = new Float64Array(size);
  let from = 0;
  for (const batch of batches) {
    const { length, values, nullCount } = batch;
    for (let at = 0; at < length; at += 1) numbers[from + at] = Number(values[at]!) * factor;
    if (nullCount) for (let at = 0; at < length; at += 1) if (!batch.isValid(at)) numbers[from + at] = NaN;
    from += length;
  }
  return numbers;
}

function flagCodes(batches: ArrowBatch[], size: number): Coded {
  const codes = new Uint8Array(size);
  let from = 0;
  for (const batch of batches) {
    for (let at = 0; at < batch.length; at += 1) {
      const x = batch.at(at);
      codes[from + at] = x === null ? 0 : x ? 2 : 1;
    }
    from += batch.length;
  }
  return { codes, values: [null, false, true], unique: true };
}

/** Codes of one dictionary for all batches: each may bring a dictionary of its own, or a longer one. */
function dictionaryCodes(batches: ArrowBatch[], size: number): Coded {
  const codes = new Uint32Array(size);
  const values: Value[] = [null];
  const known = new Map<Value, number>([[null, 0]]);
  const maps = new Map<unknown, Uint32Array>();
  let from = 0;
  for (const batch of batches) {
    const dictionary = (batch as unknown as { dictionary: ArrowColumn<string | null> }).dictionary;
    let map = maps.get(dictionary);
    if (!map) {
      map = Uint32Array.from(Array.from({ length: dictionary.length }, (_, at) => codeOf(dictionary.at(at) ?? null, known, values)));
      maps.set(dictionary, map);
    }
    const indexes = batch.values;
    for (let at = 0; at < batch.length; at += 1) codes[from + at] = map[Number(indexes[at])] ?? 0;
    if (batch.nullCount) for (let at = 0; at < batch.length; at += 1) if (!batch.isValid(at)) codes[from + at] = 0;
    from += batch.length;
  }
  return coded(codes, values);
}
