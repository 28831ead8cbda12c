/** What expressions give over every row of a table, worked out once: the looks that follow only count and add up. */

import { compile, type Compiled, type Scope } from "./expressions";
import { codesOf, type Relation } from "./relation";
import { Refusal, type Expr, type Value } from "./sql";
import { madeTextCodes } from "./texts";

/** A million numbers are 8 MB; the filters and views of one dataset need some ten such columns. */
const MOST_BYTES = 96 << 20;

/** Columns by the name of what they hold; those that were not read for longest go first. */
export class Kept {
  private readonly found = new Map<string, Compiled | null>();
  private bytes = 0;

  constructor(readonly size: number) {}

  /** What has the name, made now if it is not there; null where it cannot be had for every row. */
  get(name: string, make: () => Compiled | null): Compiled | null {
    let made = this.found.get(name);
    if (made === undefined) {
      made = unlessRefused(make);
      this.bytes += bytesOf(made);
    } else this.found.delete(name);
    this.found.set(name, made);
    for (const [oldest, held] of this.found) {
      if (this.bytes <= MOST_BYTES || oldest === name) break;
      this.bytes -= bytesOf(held);
      this.found.delete(oldest);
    }
    return made;
  }
}

/** Rows that nobody selects may hold what is refused; then only those that are asked for are computed. */
function unlessRefused(make: () => Compiled | null): Compiled | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

const bytesOf = (made: Compiled | null): number => (made?.coded?.codes.byteLength ?? 0) + (made?.numbers?.byteLength ?? 0);

/** The expression by codes or numbers of the whole table where that can be had, else as a function of a row. */
export function overTable(expr: Expr, scope: Scope): Compiled {
  const alias = scope.alias?.(expr);
  if (alias) return overTable(alias.expr, alias.scope);
  const made = compile(expr, scope);
  const { kept } = scope;
  if (!kept || made.coded || made.numbers || made.constant) return made;
  const name = nameOf(expr, scope);
  return (name === null ? null : kept.get(name, () => flagged(expr, scope, kept.size) ?? whole(made, kept.size))) ?? made;
}

/** The same for what is grouped by: numbers of few different values get codes as well. */
export function keyed(expr: Expr, scope: Scope): Compiled {
  const made = overTable(expr, scope);
  const { numbers } = made;
  const name = made.coded || !numbers || !scope.kept ? null : nameOf(expr, scope);
  if (name === null) return made;
  const narrow = scope.kept!.get(`codes of ${name}`, () => {
    const found = codesOf(numbers!);
    return found && { kind: made.kind, at: made.at, coded: found };
  });
  return narrow ?? made;
}

/** For what is added up or compared: texts are read from the rows that are asked for, all else from the whole table. */
export function measured(expr: Expr, scope: Scope): Compiled {
  const made = compile(expr, scope);
  return made.kind === "text" ? made : overTable(expr, scope);
}

/** Masks have room for whole words; what is beyond their rows is 0. */
export const padded = (size: number): number => Math.ceil(size / 4) * 4;

/** 1 where a condition holds, for each position of a relation. */
export function passing(condition: Compiled, { size, rows }: Relation): Uint8Array {
  const passes = new Uint8Array(padded(size));
  if (condition.coded) {
    const { codes, values } = condition.coded;
    const flags = Uint8Array.from(values, (value) => (value === true ? 1 : 0));
    for (let at = 0; at < size; at += 1) passes[at] = flags[codes[rows ? rows[at]! : at]!]!;
  } else {
    for (let at = 0; at < size; at += 1) passes[at] = condition.at(rows ? rows[at]! : at) === true ? 1 : 0;
  }
  return passes;
}

/** A name that the same values have in every look; null where they depend on more than rows and binds. */
export function nameOf(expr: Expr, scope: Scope): string | null {
  if (scope.known?.(expr)) return null;
  const alias = scope.alias?.(expr);
  if (alias) return nameOf(alias.expr, alias.scope);
  switch (expr.t) {
    case "lit":
      return JSON.stringify([expr.kind, expr.value]);
    case "bind":
      return `$${JSON.stringify(scope.binds[expr.name] ?? null)}`;
    case "ref":
      return scope.column(expr.table, expr.name)?.key ?? null;
    case "op":
      return named(expr.op, expr.args, scope);
    case "fn":
      return expr.over || expr.filter || expr.star || expr.distinct || expr.order.length ? null : named(`${expr.name}()`, expr.args, scope);
    case "cast":
      return named(`to ${expr.to}`, [expr.arg], scope);
    case "case":
      return named("case", [expr.of, ...expr.whens.flat(), expr.otherwise], scope);
    default:
      return null;
  }
}

function named(head: string, parts: (Expr | undefined)[], scope: Scope): string | null {
  const names: string[] = [];
  for (const part of parts) {
    const name = part ? nameOf(part, scope) : "-";
    if (name === null) return null;
    names.push(name);
  }
  return `(${head} ${names.join(" ")})`;
}

/** Values of every row by number; null for kinds that have none, and for texts that are mostly different. */
function whole(made: Compiled, size: number): Compiled | null {
  const { kind, at } = made;
  if (kind === "bool") {
    const codes = new Uint8Array(size);
    for (let row = 0; row < size; row += 1) codes[row] = flagOf(at(row));
    return ofFlags(codes);
  }
  if (kind === "text") {
    const found = madeTextCodes(at, size);
    return found && { kind, at: (row) => found.values[found.codes[row]!] ?? null, coded: found };
  }
  if (kind !== "int" && kind !== "double" && kind !== "date" && kind !== "time") return null;
  const numbers = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    const x = at(row);
    numbers[row] = x === null ? NaN : (x as number);
  }
  return { kind, numbers, at: (row) => { const x = numbers[row]!; return Number.isNaN(x) ? null : x; } };
}

// ---- conditions: 0 is missing, 1 false, 2 true ---------------------------------------------------------------------

const FLAGS: Value[] = [null, false, true];
const AND = Uint8Array.of(0, 1, 0, 1, 1, 1, 0, 1, 2);
const OR = Uint8Array.of(0, 0, 2, 0, 1, 2, 2, 2, 2);
const flagOf = (value: Value): number => (value === null ? 0 : value === true ? 2 : 1);

function ofFlags(codes: Uint8Array): Compiled {
  return { kind: "bool", at: (row) => FLAGS[codes[row]!]!, coded: { codes, values: FLAGS, unique: true } };
}

/** `and` and `or` of parts that have codes, without a call for each row; null for everything else. */
function flagged(expr: Expr, scope: Scope, size: number): Compiled | null {
  if (expr.t !== "op" || (expr.op !== "and" && expr.op !== "or")) return null;
  const parts = expr.args.map((arg) => overTable(arg, scope));
  const table = expr.op === "and" ? AND : OR;
  const result = new Uint8Array(size).fill(expr.op === "and" ? 2 : 1);
  for (const part of parts) {
    if (part.coded) {
      const { codes, values } = part.coded;
      const flags = Uint8Array.from(values, flagOf);
      for (let row = 0; row < size; row += 1) result[row] = table[result[row]! * 3 + flags[codes[row]!]!]!;
    } else if (part.constant) {
      const flag = flagOf(part.at(0));
      for (let row = 0; row < size; row += 1) result[row] = table[result[row]! * 3 + flag]!;
    } else return null;
  }
  return ofFlags(result);
}
