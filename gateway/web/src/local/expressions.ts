/** Expressions as functions of a row. Missing values go through them as in SQL. */

import type { Kept } from "./kept";
import type { Coded, Column } from "./relation";
import { keyOf } from "./relation";
import { Refusal, type Expr, type Kind, type Query, type Value } from "./sql";
import { casted, compareValues, exact, formatted, parseDay, parseInstant, rounded, truncated } from "./values";

export interface Bind { kind: Kind; value: Value | Value[] }
export type Binds = Record<string, Bind>;

export interface Compiled {
  kind: Kind;
  at: (row: number) => Value;
  coded?: Coded | undefined;
  numbers?: Float64Array | undefined;
  /** The same for every row. */
  constant?: boolean;
}

export interface Scope {
  column: (table: string | undefined, name: string) => Column | undefined;
  /** Expressions that have a value of their own here: keys and aggregates of groups, windows. */
  known?: (expr: Expr) => Compiled | undefined;
  /** What a name of another item stands for, and where. */
  alias?: (expr: Expr) => { expr: Expr; scope: Scope } | undefined;
  /** What is known of all rows of the table whose columns these are. */
  kept?: Kept | undefined;
  binds: Binds;
  scalar: (query: Query) => Compiled;
}

const constant = (kind: Kind, value: Value): Compiled => ({ kind, at: () => value, constant: true });

export function compile(expr: Expr, scope: Scope): Compiled {
  const known = scope.known?.(expr);
  if (known) return known;
  const alias = scope.alias?.(expr);
  if (alias) return compile(alias.expr, alias.scope);
  switch (expr.t) {
    case "lit":
      return constant(expr.kind, expr.value);
    case "bind": {
      const bind = scope.binds[expr.name];
      if (!bind || Array.isArray(bind.value)) throw new Refusal(`$${expr.name}`);
      return constant(bind.kind, bind.value);
    }
    case "ref": {
      const column = scope.column(expr.table, expr.name);
      if (!column) throw new Refusal(`the column ${expr.name}`);
      return { kind: column.kind, at: column.at, coded: column.coded, numbers: column.numbers };
    }
    case "sub":
      return scope.scalar(expr.query);
    default:
      return byCode(expr, scope) ?? composed(expr, scope);
  }
}

/** Columns of a table that an expression reads; null where it reads anything else. */
function columnsOf(expr: Expr, scope: Scope, found: Set<Column>): boolean {
  if (scope.known?.(expr) ?? scope.alias?.(expr)) return false;
  switch (expr.t) {
    case "lit":
    case "bind":
      return true;
    case "ref": {
      const column = scope.column(expr.table, expr.name);
      if (column) found.add(column);
      return column !== undefined;
    }
    case "op":
      return expr.op !== "row" && expr.args.every((item) => columnsOf(item, scope, found));
    case "fn":
      return !expr.over && expr.args.every((item) => columnsOf(item, scope, found));
    case "cast":
      return columnsOf(expr.arg, scope, found);
    case "case":
      return [expr.of, expr.otherwise, ...expr.whens.flat()].every((item) => !item || columnsOf(item, scope, found));
    default:
      return false;
  }
}

/** What depends on one column of few values is worked out once for each of them. */
function byCode(expr: Expr, scope: Scope): Compiled | null {
  const columns = new Set<Column>();
  if (!columnsOf(expr, scope, columns) || columns.size !== 1) return null;
  const [column] = columns;
  const coded = column!.coded;
  if (!coded) return null;
  const one: Column = { name: column!.name, kind: column!.kind, at: (code) => coded.values[code] ?? null };
  const made = composed(expr, { ...scope, column: () => one });
  const values = coded.values.map((_, code) => made.at(code));
  const { codes } = coded;
  return { kind: made.kind, at: (row) => values[codes[row]!] ?? null, coded: { codes, values } };
}

function composed(expr: Expr, scope: Scope): Compiled {
  switch (expr.t) {
    case "op":
      return operation(expr.op, expr.args, scope);
    case "fn":
      return call(expr, scope);
    case "cast": {
      const arg = compile(expr.arg, scope);
      const { to } = expr;
      if (arg.kind === to) return arg;
      return { kind: to, at: (row) => casted(to, arg.kind, arg.at(row)), constant: arg.constant === true };
    }
    case "case":
      return cases(expr, scope);
    default:
      throw new Refusal(expr.t);
  }
}

const NUMERIC = new Set<Kind>(["int", "double"]);

/** The kind that values of both have; texts beside days or instants are read as such, as the server does. */
function common(one: Compiled, other: Compiled): [Compiled, Compiled, Kind] {
  if (one.kind === other.kind || other.kind === "null") return [one, other, one.kind];
  if (one.kind === "null") return [one, other, other.kind];
  if (NUMERIC.has(one.kind) && NUMERIC.has(other.kind)) return [one, other, "double"];
  for (const kind of ["time", "date"] as const) {
    if (one.kind === kind || other.kind === kind) return [turned(one, kind), turned(other, kind), kind];
  }
  throw new Refusal(`${one.kind} beside ${other.kind}`);
}

function turned(one: Compiled, kind: "date" | "time"): Compiled {
  if (one.kind === kind) return one;
  return { kind, at: (row) => casted(kind, one.kind, one.at(row)), constant: one.constant === true };
}

const COMPARISONS: Record<string, (order: number) => boolean> = {
  "=": (order) => order === 0, "<>": (order) => order !== 0, "<": (order) => order < 0, ">": (order) => order > 0,
  "<=": (order) => order <= 0, ">=": (order) => order >= 0,
};

/** Numbers are compared as they are, so none of them may be without an order. */
function there(value: number): number {
  if (Number.isNaN(value)) throw new Refusal("an order of what has none");
  return value;
}

const MEASURED = new Set<Kind>(["int", "double", "date", "time"]);
const NUMBER_COMPARISONS: Record<string, (one: number, other: number) => boolean> = {
  "=": (one, other) => one === other, "<>": (one, other) => one !== other, "<": (one, other) => one < other, ">": (one, other) => one > other,
  "<=": (one, other) => one <= other, ">=": (one, other) => one >= other,
};

function operation(op: string, args: Expr[], scope: Scope): Compiled {
  const given = args.map((item) => compile(item, scope));
  const [a, b] = given as [Compiled, Compiled];
  const bool = (at: (row: number) => Value): Compiled => ({ kind: "bool", at });
  const compares = COMPARISONS[op];
  if (compares) {
    const [left, right, kind] = common(a, b);
    const measures = MEASURED.has(kind) ? NUMBER_COMPARISONS[op] : undefined;
    if (measures) {
      return bool((row) => {
        const x = left.at(row);
        const y = right.at(row);
        return x === null || y === null ? null : measures(x as number, y as number);
      });
    }
    return bool((row) => {
      const x = left.at(row);
      const y = right.at(row);
      return x === null || y === null ? null : compares(compareValues(x, y));
    });
  }
  switch (op) {
    case "and":
      return bool((row) => { const x = a.at(row); if (x === false) return false; const y = b.at(row); return y === false ? false : x === null || y === null ? null : true; });
    case "or":
      return bool((row) => { const x = a.at(row); if (x === true) return true; const y = b.at(row); return y === true ? true : x === null || y === null ? null : false; });
    case "not":
      return bool((row) => { const x = a.at(row); return x === null ? null : !x; });
    case "is null":
      return bool((row) => a.at(row) === null);
    case "is true":
      return bool((row) => a.at(row) === true);
    case "is distinct": {
      const [left, right] = common(a, b);
      return bool((row) => keyOf(left.at(row)) !== keyOf(right.at(row)));
    }
    case "in": {
      const pairs = given.slice(1).map((item) => common(a, item));
      return bool((row) => {
        if (a.at(row) === null) return null;
        const met = pairs.map(([left, right]) => { const y = right.at(row); return y === null ? null : compareValues(left.at(row), y) === 0; });
        return met.includes(true) ? true : met.includes(null) ? null : false;
      });
    }
    case "||":
      if (a.kind !== "text" || b.kind !== "text") throw new Refusal(`${a.kind} || ${b.kind}`);
      return { kind: "text", at: (row) => { const x = a.at(row); const y = b.at(row); return x === null || y === null ? null : `${String(x)}${String(y)}`; } };
    case "row":
      return { kind: "row", at: (row) => given.map((item) => keyOf(item.at(row))).join("\u0000") };
    default:
      return arithmetic(op, given);
  }
}

function arithmetic(op: string, given: Compiled[]): Compiled {
  for (const item of given) if (!NUMERIC.has(item.kind) && item.kind !== "null") throw new Refusal(`${op} of ${item.kind}`);
  const whole = given.every((item) => item.kind === "int") && op !== "/";
  const kind: Kind = whole ? "int" : "double";
  const [a, b] = given as [Compiled, Compiled];
  if (op === "negative") return { kind: a.kind, at: (row) => { const x = a.at(row); return x === null ? null : -(x as number); } };
  if (op === "//" && !whole) throw new Refusal("// of fractions");
  const work: Record<string, (x: number, y: number) => number | null> = {
    "+": (x, y) => x + y, "-": (x, y) => x - y, "*": (x, y) => x * y, "/": (x, y) => (y === 0 ? null : x / y),
    // Exact: what is taken off first leaves a multiple.
    "//": (x, y) => (y === 0 ? null : (x - (x % y)) / y), "%": (x, y) => (y === 0 ? null : x % y),
  };
  const run = work[op];
  if (!run) throw new Refusal(op);
  return {
    kind,
    at: (row) => {
      const x = a.at(row);
      const y = b.at(row);
      if (x === null || y === null) return null;
      const found = run(x as number, y as number);
      return found === null ? null : whole ? exact(found) : there(found);
    },
  };
}

function cases(expr: Extract<Expr, { t: "case" }>, scope: Scope): Compiled {
  const whens = expr.whens.map(([when, then]) => {
    const condition: Expr = expr.of ? { t: "op", op: "=", args: [expr.of, when] } : when;
    return [compile(condition, scope), compile(then, scope)] as const;
  });
  const otherwise = expr.otherwise ? compile(expr.otherwise, scope) : constant("null", null);
  const kind = joint([...whens.map(([, then]) => then.kind), otherwise.kind]);
  return {
    kind,
    at: (row) => {
      for (const [when, then] of whens) if (when.at(row) === true) return then.at(row);
      return otherwise.at(row);
    },
  };
}

function joint(kinds: Kind[]): Kind {
  const real = [...new Set(kinds.filter((kind) => kind !== "null"))];
  if (real.length <= 1) return real[0] ?? "null";
  if (real.every((kind) => NUMERIC.has(kind))) return "double";
  throw new Refusal(`one of ${real.join(", ")}`);
}

function call(expr: Extract<Expr, { t: "fn" }>, scope: Scope): Compiled {
  if (expr.over || expr.filter || expr.star || expr.distinct || expr.order.length) throw new Refusal(`${expr.name}() here`);
  if (expr.name === "list_contains") return contains(expr.args, scope);
  const given = expr.args.map((item) => compile(item, scope));
  const [a, b] = given as [Compiled, Compiled];
  const text = (item: Compiled | undefined): string => {
    if (!item?.constant || item.kind !== "text") throw new Refusal(`${expr.name}() of a value that changes`);
    return String(item.at(0));
  };
  switch (expr.name) {
    case "coalesce":
      return { kind: joint(given.map((item) => item.kind)), at: (row) => { for (const item of given) { const x = item.at(row); if (x !== null) return x; } return null; } };
    case "nullif": {
      const [left, right] = common(a, b);
      return { kind: a.kind, at: (row) => { const x = left.at(row); const y = right.at(row); return x !== null && y !== null && compareValues(x, y) === 0 ? null : a.at(row); } };
    }
    case "greatest":
    case "least": {
      const sign = expr.name === "greatest" ? 1 : -1;
      return { kind: joint(given.map((item) => item.kind)), at: (row) => given.map((item) => item.at(row)).reduce((best, x) => (x === null ? best : best === null || sign * compareValues(x, best) > 0 ? x : best), null) };
    }
    case "round": {
      const digits = b ? Number(b.at(0)) : 0;
      return { kind: a.kind, at: (row) => { const x = a.at(row); return x === null ? null : rounded(x as number, digits); } };
    }
    case "abs":
      return { kind: a.kind, at: (row) => { const x = a.at(row); return x === null ? null : Math.abs(x as number); } };
    case "concat":
      if (given.some((item) => item.kind !== "text")) throw new Refusal("concat() of other than texts");
      return { kind: "text", at: (row) => given.map((item) => item.at(row) ?? "").join("") };
    case "starts_with":
      return { kind: "bool", at: (row) => { const x = a.at(row); const y = b.at(row); return x === null || y === null ? null : String(x).startsWith(String(y)); } };
    case "date_diff": {
      const [, from, to] = given;
      if (text(a) !== "second" || from?.kind !== "time" || to?.kind !== "time") throw new Refusal("date_diff() here");
      const seconds = (micros: Value): number => Math.floor(Number(micros) / 1_000_000);
      return { kind: "int", at: (row) => { const x = from.at(row); const y = to.at(row); return x === null || y === null ? null : seconds(y) - seconds(x); } };
    }
    case "strftime": {
      const format = text(b);
      if (a.kind !== "date" && a.kind !== "time") throw new Refusal(`strftime() of ${a.kind}`);
      return { kind: "text", at: (row) => { const x = a.at(row); return x === null ? null : formatted(format, a.kind, x as number); } };
    }
    case "date_trunc": {
      const unit = text(a);
      if (b.kind !== "date" && b.kind !== "time") throw new Refusal(`date_trunc() of ${b.kind}`);
      return { kind: b.kind, at: (row) => { const x = b.at(row); return x === null ? null : truncated(unit, b.kind, x as number); } };
    }
    default:
      throw new Refusal(`${expr.name}()`);
  }
}

/** `list_contains($values, column)`: a match of many texts. */
function contains(args: Expr[], scope: Scope): Compiled {
  const [list, item] = args;
  const bind = list?.t === "bind" ? scope.binds[list.name] : undefined;
  if (!bind || !Array.isArray(bind.value) || !item) throw new Refusal("list_contains() here");
  const value = compile(item, scope);
  const wanted = new Set(bind.value.map((one) => (value.kind === "date" ? parseDay(String(one)) : value.kind === "time" ? parseInstant(String(one)) : one)));
  return { kind: "bool", at: (row) => { const x = value.at(row); return x === null ? null : wanted.has(x); } };
}
