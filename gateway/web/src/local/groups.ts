/** Groups, aggregates over them, and windows. Large tables are walked by code and number, not by value. */

import { compile, type Compiled, type Scope } from "./expressions";
import { measured, overTable, passing } from "./kept";
import { keyOf, rowAt, type Relation } from "./relation";
import { Refusal, type Call, type Kind, type Value } from "./sql";
import { compareValues, exact } from "./values";

export const AGGREGATES = new Set(["count", "sum", "min", "max", "avg", "any_value", "first", "string_agg"]);
/** Above this many combinations of codes a map is kept instead of a table. */
const MOST_SLOTS = 1 << 21;

export interface Groups {
  count: number;
  /** Group of each position. */
  of: Uint32Array;
  /** A row of each group. */
  firsts: Uint32Array;
  /** How many rows are in each group. */
  sizes: Float64Array;
}

/** Rows put together by equal keys; without keys all rows are one group, which is there even if they are none. */
export function groupsOf(relation: Relation, keys: Compiled[]): Groups {
  const { size } = relation;
  const of = new Uint32Array(size);
  if (keys.length === 0) return { count: 1, of, firsts: Uint32Array.of(size ? rowAt(relation, 0) : 0), sizes: Float64Array.of(size) };
  const slots = keys.reduce((product, key) => product * (key.coded?.values.length ?? Infinity), 1);
  return slots <= MOST_SLOTS ? bySlot(relation, keys, of, slots) : byKey(relation, keys, of);
}

/** `of` holds the slot of each row first: the number that the codes of its keys make, and then its group. */
function bySlot(relation: Relation, keys: Compiled[], of: Uint32Array, slots: number): Groups {
  const { size, rows } = relation;
  for (const { coded } of keys) {
    const { codes } = coded!;
    const counted = merged(coded!);
    const width = counted.length;
    for (let at = 0; at < size; at += 1) of[at] = of[at]! * width + counted[codes[rows ? rows[at]! : at]!]!;
  }
  const groups = new Int32Array(slots).fill(-1);
  const firsts: number[] = [];
  const sizes = new Float64Array(Math.min(slots, size));
  for (let at = 0; at < size; at += 1) {
    const slot = of[at]!;
    let group = groups[slot]!;
    if (group < 0) {
      group = groups[slot] = firsts.length;
      firsts.push(rows ? rows[at]! : at);
    }
    of[at] = group;
    sizes[group]! += 1;
  }
  return { count: firsts.length, of, firsts: Uint32Array.from(firsts), sizes };
}

/** The code that each code is counted as: what was computed by code may have made several values equal. */
function merged({ values, unique }: NonNullable<Compiled["coded"]>): Uint32Array {
  const first = new Map<string, number>();
  return Uint32Array.from(values, (value, code) => {
    if (unique) return code;
    const key = keyOf(value);
    const known = first.get(key);
    if (known === undefined) first.set(key, code);
    return known ?? code;
  });
}

function byKey(relation: Relation, keys: Compiled[], of: Uint32Array): Groups {
  const groups = new Map<string, number>();
  const firsts: number[] = [];
  const sizes: number[] = [];
  for (let at = 0; at < relation.size; at += 1) {
    const row = rowAt(relation, at);
    let text = "";
    for (const key of keys) text += `${keyOf(key.at(row))}\u0000`;
    let group = groups.get(text);
    if (group === undefined) {
      group = firsts.length;
      groups.set(text, group);
      firsts.push(row);
      sizes.push(0);
    }
    of[at] = group;
    sizes[group]! += 1;
  }
  return { count: firsts.length, of, firsts: Uint32Array.from(firsts), sizes: Float64Array.from(sizes) };
}

/** One value for each group. */
export function aggregate(call: Call, relation: Relation, groups: Groups, scope: Scope, order: Sorting[]): Compiled {
  const passes = call.filter ? passing(overTable(call.filter, scope), relation) : null;
  if (call.name === "first" || call.name === "string_agg") return inOrder(call, relation, groups, compile(call.args[0]!, scope), passes, scope, order);
  const value = call.star ? null : measured(call.args[0]!, scope);
  if (order.length) throw new Refusal(`${call.name}() by order`);
  if (call.name === "count") return counted(call, relation, groups, value, passes);
  if (call.distinct || !value) throw new Refusal(`${call.name}(distinct)`);
  if (call.name === "sum" || call.name === "avg") return summed(call.name, relation, groups, value, passes);
  if (value.numbers && call.name !== "any_value") return outermost(call.name, relation, groups, value, passes);
  const best: Value[] = new Array<Value>(groups.count).fill(null);
  const sign = call.name === "max" ? 1 : call.name === "min" ? -1 : 0;
  for (let at = 0; at < relation.size; at += 1) {
    if (passes && passes[at] === 0) continue;
    const x = value.at(rowAt(relation, at));
    if (x === null) continue;
    const group = groups.of[at]!;
    const before = best[group]!;
    if (before === null || (sign !== 0 && sign * compareValues(x, before) > 0)) best[group] = x;
  }
  return { kind: value.kind, at: (group) => best[group] ?? null };
}

/** The largest or the smallest of numbers as they lie. */
function outermost(name: string, { size, rows }: Relation, groups: Groups, value: Compiled, passes: Uint8Array | null): Compiled {
  const found = new Float64Array(groups.count).fill(NaN);
  const numbers = value.numbers!;
  const largest = name === "max";
  for (let at = 0; at < size; at += 1) {
    if (passes !== null && passes[at] === 0) continue;
    const x = numbers[rows ? rows[at]! : at]!;
    const group = groups.of[at]!;
    const before = found[group]!;
    if (largest ? x > before : x < before) found[group] = x;
    else if (before !== before) found[group] = x;
  }
  return { kind: value.kind, at: (group) => (Number.isNaN(found[group]!) ? null : found[group]!) };
}

/** `first` and `string_agg`, which say their own order. */
function inOrder(
  call: Call, relation: Relation, groups: Groups, value: Compiled, passes: Uint8Array | null, scope: Scope, order: Sorting[],
): Compiled {
  if (order.length === 0) throw new Refusal(`${call.name}() in no order`);
  const members: number[][] = Array.from({ length: groups.count }, () => []);
  for (let at = 0; at < relation.size; at += 1) {
    if (!passes || passes[at] === 1) members[groups.of[at]!]!.push(rowAt(relation, at));
  }
  const sorted = members.map((rows) => rows.sort((one, other) => comparedRows(order, one, other) || one - other));
  if (call.name === "first") {
    const firsts = sorted.map((rows) => (rows.length ? value.at(rows[0]!) : null));
    return { kind: value.kind, at: (group) => firsts[group] ?? null };
  }
  if (value.kind !== "text") throw new Refusal(`string_agg() of ${value.kind}`);
  const between = String(compile(call.args[1]!, scope).at(0));
  const texts = sorted.map((rows) => {
    const found = rows.map((row) => value.at(row)).filter((x) => x !== null);
    const wanted = call.distinct ? [...new Set(found)] : found;
    return wanted.length ? wanted.join(between) : null;
  });
  return { kind: "text", at: (group) => texts[group] ?? null };
}

function counted(call: Call, relation: Relation, groups: Groups, value: Compiled | null, passes: Uint8Array | null): Compiled {
  if (call.distinct && value) return countedOnce(relation, groups, value, passes);
  if ((!value || (value.constant && value.at(0) !== null)) && !passes) return { kind: "int", at: (group) => groups.sizes[group]! };
  const counts = new Float64Array(groups.count);
  const { size, rows } = relation;
  const { of } = groups;
  for (let at = 0; at < size; at += 1) {
    if (passes !== null && passes[at] === 0) continue;
    if (value !== null && value.at(rows ? rows[at]! : at) === null) continue;
    counts[of[at]!]! += 1;
  }
  return { kind: "int", at: (group) => counts[group]! };
}

function countedOnce(relation: Relation, groups: Groups, value: Compiled, passes: Uint8Array | null): Compiled {
  const seen = Array.from({ length: groups.count }, () => new Set<Value>());
  for (let at = 0; at < relation.size; at += 1) {
    if (passes && passes[at] === 0) continue;
    const x = value.at(rowAt(relation, at));
    if (x !== null) seen[groups.of[at]!]!.add(x);
  }
  return { kind: "int", at: (group) => seen[group]!.size };
}

function summed(name: string, relation: Relation, groups: Groups, value: Compiled, passes: Uint8Array | null): Compiled {
  if (value.kind !== "int" && value.kind !== "double" && value.kind !== "null") throw new Refusal(`${name}() of ${value.kind}`);
  const sums = new Float64Array(groups.count);
  const counts = new Uint32Array(groups.count);
  const { of } = groups;
  const { size, rows } = relation;
  const { numbers } = value;
  for (let at = 0; at < size; at += 1) {
    if (passes !== null && passes[at] === 0) continue;
    const row = rows ? rows[at]! : at;
    const x = numbers ? numbers[row]! : (value.at(row) as number | null);
    if (x === null || x !== x) continue;
    const group = of[at]!;
    sums[group]! += x;
    counts[group]! += 1;
  }
  if (value.kind === "int") sums.forEach(exact);
  if (name === "avg") return { kind: "double", at: (group) => (counts[group] ? sums[group]! / counts[group]! : null) };
  return { kind: value.kind === "double" ? "double" : "int", at: (group) => (counts[group] ? sums[group]! : null) };
}

export interface Sorting { value: Compiled; descending: boolean; nullsFirst: boolean }

/** The order of two values by a term; missing ones come first or last whatever the direction. */
export function comparedBy(term: Sorting, one: Value, other: Value): number {
  if (one === null || other === null) return one === other ? 0 : (one === null) === term.nullsFirst ? -1 : 1;
  return term.descending ? compareValues(other, one) : compareValues(one, other);
}

/** A value for each row of what is sorted and parted by a window. */
export function windowOf(call: Call, relation: Relation, scope: Scope, order: Sorting[]): Compiled {
  if (call.filter || call.distinct) throw new Refusal(`${call.name}() over with a filter`);
  const over = call.over!;
  const value = call.star || call.args.length === 0 ? null : compile(call.args[0]!, scope);
  const parts = groupsOf(relation, over.partition.map((expr) => compile(expr, scope)));
  const members: number[][] = Array.from({ length: parts.count }, () => []);
  for (let at = 0; at < relation.size; at += 1) members[parts.of[at]!]!.push(rowAt(relation, at));
  const found = new Map<number, Value>();
  let kind: Kind = "int";
  for (const rows of members) {
    const compare = (one: number, other: number): number => comparedRows(order, one, other);
    if (order.length) rows.sort((one, other) => compare(one, other) || one - other);
    kind = fill(call.name, rows, value, over.order.length ? (over.rows ? "rows" : "peers") : "whole", compare, found);
  }
  return { kind: value && call.name !== "count" ? value.kind : kind, at: (row) => found.get(row) ?? null };
}

function comparedRows(order: Sorting[], one: number, other: number): number {
  for (const term of order) {
    const result = comparedBy(term, term.value.at(one), term.value.at(other));
    if (result !== 0) return result;
  }
  return 0;
}

/** Running values of one part; peers of a row share what their last has. */
function fill(
  name: string, rows: number[], value: Compiled | null, frame: "whole" | "rows" | "peers",
  compare: (one: number, other: number) => number, found: Map<number, Value>,
): Kind {
  if (name === "row_number") {
    rows.forEach((row, at) => found.set(row, at + 1));
    return "int";
  }
  if (!["sum", "count", "min", "max"].includes(name)) throw new Refusal(`${name}() over`);
  let running: Value = name === "count" ? 0 : null;
  const step = (row: number): void => {
    const x = value ? value.at(row) : 1;
    if (x === null) return;
    if (name === "count") running = Number(running) + 1;
    else if (name === "sum") running = value!.kind === "int" ? exact(Number(running ?? 0) + Number(x)) : Number(running ?? 0) + Number(x);
    else if (running === null || (name === "max" ? 1 : -1) * compareValues(x, running) > 0) running = x;
  };
  let from = 0;
  for (let at = 0; at < rows.length; at += 1) {
    step(rows[at]!);
    const last = at + 1 === rows.length;
    const ends = frame === "rows" || (frame === "whole" ? last : last || compare(rows[at]!, rows[at + 1]!) !== 0);
    if (!ends) continue;
    for (; from <= at; from += 1) found.set(rows[from]!, running);
  }
  return "int";
}
