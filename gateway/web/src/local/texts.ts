/** Codes for texts that repeat, found by their bytes: each different text is decoded once, not once for each row. */

import { codeOf, coded, type Coded } from "./relation";
import type { Value } from "./sql";

export interface TextBatch {
  length: number;
  nullCount: number;
  offsets: ArrayLike<number | bigint>;
  values: Uint8Array;
  isValid: (index: number) => boolean;
  at: (index: number) => unknown;
}

/** A column with more different texts, such as one of lots or of comments, is read as it lies. */
const MOST_TEXTS = 16_384;
/** Four places for each text, so that most are found at the first look. */
const PLACES = 4 * MOST_TEXTS;

interface Known { bytes: Uint8Array; from: number; to: number; hash: number }

/** The codes of a column; null where too many of its texts are different. */
export function textCodes(batches: TextBatch[], size: number): Coded | null {
  const codes = new Uint32Array(size);
  const values: Value[] = [null];
  const known: Known[] = [{ bytes: new Uint8Array(0), from: 0, to: 0, hash: 0 }];
  const places = new Uint32Array(PLACES);
  let first = 0;
  for (const batch of batches) {
    const { length, offsets, values: bytes, nullCount } = batch;
    for (let at = 0; at < length; at += 1) {
      if (nullCount && !batch.isValid(at)) continue;
      const from = Number(offsets[at]);
      const to = Number(offsets[at + 1]);
      const hash = hashOf(bytes, from, to);
      let place = (hash ^ (hash >>> 15)) & (PLACES - 1);
      let code = places[place]!;
      while (code !== 0 && !same(known[code]!, bytes, from, to, hash)) {
        place = (place + 1) & (PLACES - 1);
        code = places[place]!;
      }
      if (code === 0) {
        if (values.length > MOST_TEXTS) return null;
        code = values.push(batch.at(at) as string) - 1;
        known.push({ bytes, from, to, hash });
        places[place] = code;
      }
      codes[first + at] = code;
    }
    first += length;
  }
  return coded(codes, values);
}

/** Texts that were computed are there already, and there are fewer of them than rows. */
const MOST_MADE = 60_000;

/** The codes of texts that an expression gives; null where too many of them are different. */
export function madeTextCodes(at: (row: number) => Value, size: number): Coded | null {
  const codes = new Uint32Array(size);
  const values: Value[] = [null];
  const known = new Map<Value, number>([[null, 0]]);
  for (let row = 0; row < size; row += 1) {
    codes[row] = codeOf(at(row), known, values);
    if (values.length > MOST_MADE) return null;
  }
  return coded(codes, values);
}

/** FNV-1a, 32 bits. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash;
}

function same(known: Known, bytes: Uint8Array, from: number, to: number, hash: number): boolean {
  if (known.hash !== hash || known.to - known.from !== to - from) return false;
  for (let at = from, other = known.from; at < to; at += 1, other += 1) if (bytes[at] !== known.bytes[other]) return false;
  return true;
}
