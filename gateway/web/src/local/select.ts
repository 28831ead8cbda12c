/** Runs statements over tables that are there: joins, groups, windows, order. */

import { aggregate, AGGREGATES, comparedBy, groupsOf, windowOf, type Sorting } from "./groups";
import { compile, type Binds, type Compiled, type Scope } from "./expressions";
import { keyed, measured, nameOf, overTable, passing } from "./kept";
import { keyOf, ofValues, picked, rowAt, type Column, type Relation } from "./relation";
import { Refusal, type Expr, type Join, type OrderTerm, type Query, type Select, type Source, type Value } from "./sql";

export type Tables = Record<string, Relation>;

/** The answer of a statement. Throws `Refusal` for what is not computed here. */
export function run(query: Query, tables: Tables, binds: Binds): Relation {
  const all = { ...tables };
  for (const { name, query: inner } of query.ctes) all[name] = run(inner, all, binds);
  if (query.values) return ofRows(query.values, all, binds);
  const [only, ...others] = query.selects;
  if (others.length === 0) return new Running(only!, all, binds).answer(query.order, limitOf(query, all, binds));
  const parts = query.selects.map((select) => new Running(select, all, binds).answer([], null));
  const whole = stacked(parts);
  const sorted = ordered(whole, query.order, outputScope(whole, all, binds));
  return cut(sorted, limitOf(query, all, binds));
}

function limitOf(query: Query, tables: Tables, binds: Binds): number | null {
  return query.limit ? Number(compile(query.limit, outputScope({ size: 0, columns: [] }, tables, binds)).at(0)) : null;
}

const cut = (relation: Relation, limit: number | null): Relation =>
  limit === null || relation.size <= limit ? relation : picked(relation, Array.from({ length: limit }, (_, at) => at));

function scalarOf(tables: Tables, binds: Binds): Scope["scalar"] {
  return (query) => {
    const found = run(query, tables, binds);
    if (found.columns.length !== 1 || found.size > 1) throw new Refusal("a statement of many rows as a value");
    const value = found.size ? found.columns[0]!.at(rowAt(found, 0)) : null;
    return { kind: found.columns[0]!.kind, at: () => value, constant: true };
  };
}

function outputScope(relation: Relation, tables: Tables, binds: Binds): Scope {
  return { binds, scalar: scalarOf(tables, binds), column: (table, name) => (table ? undefined : relation.columns.find((column) => column.name === name)) };
}

function ofRows(rows: Expr[][], tables: Tables, binds: Binds): Relation {
  const scope = outputScope({ size: 0, columns: [] }, tables, binds);
  const made = rows.map((row) => row.map((item) => compile(item, scope)));
  const width = made[0]!.length;
  const columns = Array.from({ length: width }, (_, at) =>
    ofValues(`col${at}`, made.find((row) => row[at]!.kind !== "null")?.[at]!.kind ?? "null", made.map((row) => row[at]!.at(0))));
  return { size: rows.length, columns };
}

function stacked(parts: Relation[]): Relation {
  const first = parts[0]!;
  const columns = first.columns.map((column, index) => {
    const kind = parts.map((part) => part.columns[index]?.kind ?? "null").find((item) => item !== "null") ?? "null";
    return ofValues(column.name, kind, parts.flatMap((part) => {
      const own = part.columns[index];
      if (!own) throw new Refusal("union of unequal widths");
      return Array.from({ length: part.size }, (_, at) => own.at(rowAt(part, at)));
    }));
  });
  return { size: parts.reduce((sum, part) => sum + part.size, 0), columns };
}

/** Positions in order, or the first of them; equal ones stay as they were. */
function sortedPositions(relation: Relation, terms: Sorting[], limit: number | null = null): number[] {
  const most = Math.min(limit ?? relation.size, relation.size);
  if (terms.length === 0) return Array.from({ length: most }, (_, at) => at);
  if (most * 8 < relation.size) return firstPositions(relation, terms, most);
  const positions = Array.from({ length: relation.size }, (_, at) => at);
  const keys = terms.map((term) => positions.map((position) => term.value.at(rowAt(relation, position))));
  positions.sort((one, other) => {
    for (const [index, term] of terms.entries()) {
      const order = comparedBy(term, keys[index]![one]!, keys[index]![other]!);
      if (order !== 0) return order;
    }
    return one - other;
  });
  return positions.slice(0, most);
}

/** The first few in order, without putting all the others in order as well. */
function firstPositions(relation: Relation, terms: Sorting[], most: number): number[] {
  const compare = (one: number, other: number): number => {
    for (const term of terms) {
      const order = comparedBy(term, term.value.at(rowAt(relation, one)), term.value.at(rowAt(relation, other)));
      if (order !== 0) return order;
    }
    return one - other;
  };
  const room = 2 * most + 1000;
  let best: number[] = [];
  let worst = -1;
  const cutBack = (): void => {
    best = best.sort(compare).slice(0, most);
    worst = best[most - 1] ?? -1;
  };
  // Rows that lie in the opposite order would all be better than those before them.
  const backwards = relation.size > 1 && compare(relation.size - 1, 0) < 0;
  for (let step = 0; step < relation.size; step += 1) {
    const position = backwards ? relation.size - 1 - step : step;
    if (worst >= 0 && compare(position, worst) > 0) continue;
    best.push(position);
    if (best.length >= room) cutBack();
  }
  cutBack();
  return best;
}

const sortings = (order: OrderTerm[], scope: Scope): Sorting[] =>
  order.map(({ expr, descending, nullsFirst }) => ({ value: measured(expr, scope), descending, nullsFirst }));

function ordered(relation: Relation, order: OrderTerm[], scope: Scope): Relation {
  return order.length ? picked(relation, sortedPositions(relation, sortings(order, scope))) : relation;
}

interface Named { table: string; column: Column }

/** One SELECT on its way: sources, then groups, then windows, then what is shown. */
class Running {
  private named: Named[] = [];
  private relation: Relation = { size: 1, columns: [] };
  private readonly scalar: Scope["scalar"];
  /** What groups and windows found, by the expression's text. */
  private found = new Map<string, Compiled>();
  private grouped = false;

  constructor(private readonly select: Select, private readonly tables: Tables, private readonly binds: Binds) {
    this.scalar = scalarOf(tables, binds);
    for (const join of select.from) this.join(join);
    if (select.from.length === 0) this.unnest();
  }

  /** A calendar: `unnest(generate_series(first, last, interval 1 day))` without any table. */
  private unnest(): void {
    let node: Expr | undefined;
    for (const { expr } of this.select.items) if (expr) walk(expr, (one) => { if (one.t === "fn" && one.name === "unnest") node = one; });
    const series = node?.t === "fn" ? node.args[0] : undefined;
    if (!node || series?.t !== "fn" || series.name !== "generate_series") return;
    const [first, last, step] = series.args.map((arg) => compile(arg, this.scope(0)));
    if (first?.kind !== "time" || last?.kind !== "time" || step?.kind !== "interval") throw new Refusal("generate_series() here");
    const values: Value[] = [];
    for (let at = Number(first.at(0)); at <= Number(last.at(0)); at += Number(step.at(0))) values.push(at);
    this.found.set(this.textOf(node), { kind: "time", at: (row) => values[row] ?? null });
    this.relation = { size: values.length, columns: [] };
  }

  /** Names as an item sees them: of columns, and of the items before it; an order sees those of items first. */
  private scope(aliasesBefore: number, aliasFirst = false): Scope {
    const alias = (expr: Expr): { expr: Expr; scope: Scope } | undefined => {
      if (expr.t !== "ref" || expr.table) return undefined;
      const at = this.select.items.findIndex((one, index) => index < aliasesBefore && one.alias === expr.name && one.expr !== expr);
      const item = this.select.items[at];
      if (!item?.expr || (!aliasFirst && this.named.some(({ column }) => column.name === expr.name))) return undefined;
      return { expr: item.expr, scope: this.scope(at) };
    };
    return {
      binds: this.binds,
      scalar: this.scalar,
      column: (table, name) => (this.grouped ? undefined : this.column(table, name)),
      known: (expr) => (this.found.size ? this.found.get(this.textOf(expr)) : undefined),
      alias,
      kept: this.grouped ? undefined : this.relation.kept,
    };
  }

  private column(table: string | undefined, name: string): Column | undefined {
    const found = this.named.filter((item) => item.column.name === name && (table === undefined || item.table === table));
    if (found.length > 1) throw new Refusal(`the ambiguous column ${name}`);
    return found[0]?.column;
  }

  /** The text of an expression; one column has one text, however it is named. */
  private textOf(expr: Expr): string {
    return JSON.stringify(expr, (_, value: unknown) => {
      const node = value as Expr | null;
      if (node === null || typeof node !== "object" || node.t !== "ref") return value;
      const at = this.named.findIndex((item) => item.column.name === node.name && (node.table === undefined || item.table === node.table));
      return at < 0 ? { t: "ref", name: node.name } : { t: "column", at };
    });
  }

  private sourced(source: Source): Relation {
    const found = source.query ? run(source.query, this.tables, this.binds) : this.tables[source.table!];
    if (!found) throw new Refusal(`the table ${source.table}`);
    if (!source.columns) return found;
    return { ...found, columns: found.columns.map((column, at) => ({ ...column, name: source.columns![at] ?? column.name })) };
  }

  private join(join: Join): void {
    const right = this.sourced(join.source);
    const left = this.relation;
    if (join.how === "from") {
      this.relation = right;
      this.named = right.columns.map((column) => ({ table: join.source.name, column }));
      return;
    }
    const pairs = join.on ? this.matched(join, right) : product(left, right);
    const lefts = picked(left, pairs.map(([at]) => at));
    const rights = picked(right, pairs.map(([, at]) => at));
    this.named = [
      ...this.named.map((item, at) => ({ table: item.table, column: lefts.columns[at]! })),
      ...rights.columns.map((column) => ({ table: join.source.name, column })),
    ];
    this.relation = { size: pairs.length, columns: this.named.map((item) => item.column) };
  }

  /** Pairs of positions that a condition of equalities joins; -1 on the right where a left join found none. */
  private matched(join: Join, right: Relation): [number, number][] {
    const leftScope = this.scope(0);
    const rightScope: Scope = {
      ...leftScope, known: () => undefined,
      column: (table, name) => (table === undefined || table === join.source.name ? right.columns.find((column) => column.name === name) : undefined),
    };
    const equalities = conjuncts(join.on!).map((term) => {
      if (term.t !== "op" || !(term.op === "=" || (term.op === "not" && term.args[0]!.t === "op" && term.args[0]!.op === "is distinct"))) throw new Refusal("a join by other than equality");
      const nulls = term.op === "not";
      const [one, other] = nulls ? (term.args[0] as Extract<Expr, { t: "op" }>).args : term.args;
      const ofRight = (expr: Expr): boolean => expr.t === "ref" && expr.table === join.source.name;
      const [mine, theirs] = ofRight(one!) ? [other!, one!] : [one!, other!];
      return { mine: compile(mine, leftScope), theirs: compile(theirs, rightScope), nulls };
    });
    const key = (relation: Relation, position: number, side: "mine" | "theirs"): string | null => {
      const parts: string[] = [];
      for (const item of equalities) {
        const value = item[side].at(rowAt(relation, position));
        if (value === null && !item.nulls) return null;
        parts.push(keyOf(value));
      }
      return parts.join("\u0000");
    };
    const byKey = new Map<string, number[]>();
    for (let at = 0; at < right.size; at += 1) {
      const text = key(right, at, "theirs");
      if (text !== null) byKey.set(text, [...(byKey.get(text) ?? []), at]);
    }
    const pairs: [number, number][] = [];
    for (let at = 0; at < this.relation.size; at += 1) {
      const text = key(this.relation, at, "mine");
      const met = text === null ? [] : (byKey.get(text) ?? []);
      for (const other of met) pairs.push([at, other]);
      if (met.length === 0 && join.how === "left") pairs.push([at, -1]);
    }
    return pairs;
  }

  answer(order: OrderTerm[], limit: number | null): Relation {
    this.filter();
    this.group(order);
    this.windows(order);
    const items = this.items();
    if (order.length === 0 && limit === null && this.asItLies()) return this.projected(items);
    const shown = items.map(({ expr, alias, at }) => ({ alias, value: compile(expr, this.scope(at)) }));
    const terms = sortings(order.map((term) => this.ordinal(term, items)), this.scope(Infinity, true));
    const wanted = sortedPositions(this.relation, terms, this.select.distinct ? null : limit);
    const rows = wanted.map((position) => rowAt(this.relation, position));
    const columns = shown.map(({ alias, value }) => ofValues(alias, value.kind, rows.map((row) => value.at(row))));
    const made = { size: rows.length, columns };
    return this.select.distinct ? cut(distinct(made), limit) : made;
  }

  /** Whether the rows still are those of a table of the page. */
  private asItLies(): boolean {
    return this.relation.kept !== undefined && !this.grouped && !this.select.distinct && this.found.size === 0;
  }

  /** The items over the same rows, computed where somebody asks for them. */
  private projected(items: { expr: Expr; alias: string; at: number }[]): Relation {
    const columns = items.map(({ expr, alias, at }) => {
      const scope = this.scope(at);
      const { kind, at: of, coded, numbers } = compile(expr, scope);
      return { name: alias, kind, at: of, coded, numbers, key: nameOf(expr, scope) ?? undefined };
    });
    return { ...this.relation, columns };
  }

  private ordinal(term: OrderTerm, items: { expr: Expr }[]): OrderTerm {
    const { expr } = term;
    return expr.t === "lit" && expr.kind === "int" ? { ...term, expr: items[Number(expr.value) - 1]!.expr } : term;
  }

  private filter(): void {
    if (!this.select.where) return;
    const passes = passing(overTable(this.select.where, this.scope(0)), this.relation);
    const { size, rows } = this.relation;
    const kept = new Uint32Array(size);
    let count = 0;
    for (let at = 0; at < size; at += 1) {
      if (passes[at] === 0) continue;
      kept[count] = rows ? rows[at]! : at;
      count += 1;
    }
    this.relation = { ...this.relation, size: count, rows: kept.subarray(0, count) };
  }

  private items(): { expr: Expr; alias: string; at: number }[] {
    return this.select.items.flatMap((item, at) => {
      if (item.star === undefined) return [{ expr: item.expr!, alias: item.alias, at }];
      return this.named.filter(({ table }) => item.star === "" || table === item.star)
        .map(({ table, column }) => ({ expr: { t: "ref", table, name: column.name } as Expr, alias: column.name, at }));
    });
  }

  private group(order: OrderTerm[]): void {
    const calls = new Map<string, Extract<Expr, { t: "fn" }>>();
    const inspected = [...this.select.items.map((item) => item.expr), this.select.having, ...order.map((term) => term.expr)];
    for (const expr of inspected) if (expr) walk(expr, (node) => { if (node.t === "fn" && !node.over && AGGREGATES.has(node.name)) calls.set(this.textOf(node), node); });
    if (this.select.group.length === 0 && calls.size === 0) return;
    const scope = this.scope(Infinity);
    const keys = this.select.group.map((expr) => ({ expr, value: keyed(expr, scope) }));
    const groups = groupsOf(this.relation, keys.map((item) => item.value));
    const found = new Map<string, Compiled>();
    for (const [text, node] of calls) found.set(text, aggregate(node, this.relation, groups, scope, sortings(node.order, scope)));
    for (const { expr, value } of keys) {
      const values = Array.from(groups.firsts, (row) => value.at(row));
      const made: Compiled = { kind: value.kind, at: (group) => values[group] ?? null };
      found.set(this.textOf(expr), made);
      const alias = this.select.items.find((item) => expr.t === "ref" && item.alias === expr.name && item.expr);
      if (alias?.expr && !this.named.some(({ column }) => column.name === alias.alias)) found.set(this.textOf(alias.expr), made);
    }
    this.found = found;
    this.relation = { size: groups.count, columns: [] };
    this.grouped = true;
    if (this.select.having) this.filterGroups(this.select.having);
  }

  private filterGroups(having: Expr): void {
    const condition = compile(having, this.scope(Infinity));
    const kept = Array.from({ length: this.relation.size }, (_, at) => at).filter((at) => condition.at(at) === true);
    this.relation = { ...this.relation, size: kept.length, rows: Uint32Array.from(kept) };
  }

  private windows(order: OrderTerm[]): void {
    const calls = new Map<string, Extract<Expr, { t: "fn" }>>();
    for (const expr of [...this.select.items.map((item) => item.expr), ...order.map((term) => term.expr)]) {
      if (expr) walk(expr, (node) => { if (node.t === "fn" && node.over) calls.set(this.textOf(node), node); });
    }
    if (calls.size === 0) return;
    const scope = this.scope(Infinity);
    const made = new Map<string, Compiled>();
    for (const [text, node] of calls) made.set(text, windowOf(node, this.relation, scope, sortings(node.over!.order, scope)));
    for (const [text, value] of made) this.found.set(text, value);
  }
}

function distinct(relation: Relation): Relation {
  const seen = new Set<string>();
  const kept: number[] = [];
  for (let at = 0; at < relation.size; at += 1) {
    const key = relation.columns.map((column) => keyOf(column.at(at))).join("\u0000");
    if (!seen.has(key)) kept.push(at);
    seen.add(key);
  }
  return picked(relation, kept);
}

function product(left: Relation, right: Relation): [number, number][] {
  const pairs: [number, number][] = [];
  for (let one = 0; one < left.size; one += 1) for (let other = 0; other < right.size; other += 1) pairs.push([one, other]);
  return pairs;
}

const conjuncts = (expr: Expr): Expr[] => (expr.t === "op" && expr.op === "and" ? expr.args.flatMap(conjuncts) : [expr]);

/** Visits an expression and what it is made of, statements inside it apart. */
export function walk(expr: Expr, visit: (node: Expr) => void): void {
  visit(expr);
  switch (expr.t) {
    case "op":
      for (const item of expr.args) walk(item, visit);
      break;
    case "fn":
      for (const item of [...expr.args, expr.filter, ...(expr.over?.partition ?? []), ...(expr.over?.order ?? []).map((term) => term.expr)]) if (item) walk(item, visit);
      break;
    case "cast":
      walk(expr.arg, visit);
      break;
    case "case":
      for (const item of [expr.of, expr.otherwise, ...expr.whens.flat()]) if (item) walk(item, visit);
      break;
    default:
  }
}
