/** Looks at a table that this page holds, as the gateway would answer them. */

import type { Cell, Json, JsonObject, Table } from "../api/types";
import type { Binds } from "./expressions";
import { bindOf, conditionOf, type Computation, type Condition, type ViewRule } from "./filters";
import { Kept, overTable, padded, passing } from "./kept";
import type { Relation } from "./relation";
import { run } from "./select";
import { parseExpression, parseOrder, parseQuery, Refusal, type Query, type Value } from "./sql";
import { dayText, instantText } from "./values";

/** Masks of conditions that are kept; a brush that moves changes one of them. */
const MOST_MASKS = 24;

const PAGE_FIELDS = ["page", "page_size", "sort", "descending"];

export interface LookRequest {
  views: string[];
  /** Filters, view parameters, page, size and order, as the body of `…/view` has them. */
  body: JsonObject;
  binds: Binds;
}

/** Columns of the table that a dataset's filters and views may read. */
export function columnsRead(computation: Computation): Set<string> {
  const texts = [
    ...Object.values(computation.views).flatMap((view) => [view.sql, view.tiebreaker, ...view.sort.map((key) => key.expression)]),
    ...Object.values(computation.filters).flatMap((rule) => (rule.kind === "match" ? [rule.column, rule.keeps] : Object.values(rule.predicates))),
  ];
  return new Set(texts.flatMap((text) => text.toLowerCase().match(/[a-z_]\w*/g) ?? []));
}

export class LocalTable {
  private readonly masks = new Map<string, Uint8Array>();
  private readonly queries = new Map<string, Query>();
  /** The last answer of each view: a filter that moves leaves those alone that it does not narrow. */
  private readonly answers = new Map<string, { asked: string; table: Table }>();
  private selected: { key: string; relation: Relation } | null = null;

  private readonly whole: Relation;

  constructor(private readonly computation: Computation, table: Relation) {
    const columns = table.columns.map((column) => ({ ...column, key: JSON.stringify(column.name) }));
    this.whole = { ...table, columns, kept: new Kept(table.size) };
  }

  /** The views by name. Throws `Refusal` where one of them is not computed here. */
  look({ views, body, binds }: LookRequest): Record<string, Table> {
    return Object.fromEntries(views.map((name) => [name, this.view(name, body, binds)]));
  }

  private view(name: string, body: JsonObject, given: Binds): Table {
    const rule = this.computation.views[name];
    if (!rule) throw new Refusal(`the view ${name}`);
    const own = Object.entries(rule.parameters).map(([parameter, initial]) => [parameter, bindOf(body[parameter] ?? initial, "")] as const);
    const binds: Binds = { ...given, ...Object.fromEntries(own) };
    const conditions = rule.filters.map((filter) => conditionOf(filter, this.computation.filters[filter]!, body[filter]));
    const asked = JSON.stringify([conditions, binds, rule.paged ? PAGE_FIELDS.map((field) => body[field]) : null]);
    const last = this.answers.get(name);
    if (last?.asked === asked) return last.table;
    const table = this.computed(rule, body, conditions, given, binds);
    this.answers.set(name, { asked, table });
    return table;
  }

  private computed(rule: ViewRule, body: JsonObject, conditions: Condition[], given: Binds, binds: Binds): Table {
    const tables = { [this.computation.table]: this.whole, selected: this.narrowed(conditions, given) };
    if (rule.paged) return this.page(rule, body, tables, binds);
    return shown(rule, run(this.parsed(rule.sql), tables, binds));
  }

  private page(rule: ViewRule, body: JsonObject, tables: Record<string, Relation>, binds: Binds): Table {
    const key = rule.sort.find((item) => item.name === body["sort"]) ?? rule.sort[0];
    if (!key) throw new Refusal("rows without an order");
    const descending = typeof body["descending"] === "boolean" ? body["descending"] : key.descending;
    const answer = run(this.parsed(rule.sql), tables, binds);
    const size = Number(body["page_size"] ?? 50);
    const pages = Math.max(1, Math.ceil(answer.size / size));
    const page = Math.min(Number(body["page"] ?? 1), pages);
    const order = parseOrder(`${key.expression} ${descending ? "desc" : "asc"} nulls last, ${rule.tiebreaker}`);
    const star = { ctes: [], selects: [{ items: [{ star: "", alias: "" }], distinct: false, from: [{ how: "from" as const, source: { name: "answer", table: "answer" } }], group: [] }], order, limit: { t: "lit" as const, value: page * size, kind: "int" as const } };
    const sorted = run(star, { answer }, binds);
    const from = (page - 1) * size;
    const table = shown(rule, sorted, from);
    return { ...table, page: { page, page_size: size, total_count: answer.size, page_count: pages } };
  }

  private parsed(sql: string): Query {
    let query = this.queries.get(sql);
    if (!query) this.queries.set(sql, (query = parseQuery(sql)));
    return query;
  }

  /** The rows that satisfy every condition. */
  private narrowed(conditions: Condition[], binds: Binds): Relation {
    const real = conditions.filter((condition) => condition.predicate !== "");
    if (real.length === 0) return this.whole;
    const key = JSON.stringify(real);
    if (this.selected?.key === key) return this.selected.relation;
    const masks = real.map((condition) => this.mask(condition, { ...binds, ...condition.binds }));
    const relation = { ...this.whole, ...chosen(masks, this.whole.size) };
    this.selected = { key, relation };
    return relation;
  }

  private mask(condition: Condition, binds: Binds): Uint8Array {
    const key = JSON.stringify(condition);
    let mask = this.masks.get(key);
    if (mask) return mask;
    const columns = new Map(this.whole.columns.map((column) => [column.name, column]));
    const test = overTable(parseExpression(condition.predicate), {
      binds, column: (table, name) => (table ? undefined : columns.get(name)), scalar: () => { throw new Refusal("a statement in a filter"); },
      kept: this.whole.kept,
    });
    mask = passing(test, this.whole);
    if (this.masks.size >= MOST_MASKS) this.masks.delete(this.masks.keys().next().value!);
    this.masks.set(key, mask);
    return mask;
  }
}

/** The rows that are 1 in every mask. */
function chosen(masks: Uint8Array[], size: number): { size: number; rows: Uint32Array } {
  const [first, ...others] = masks;
  let mask = first!;
  if (others.length) {
    mask = new Uint8Array(padded(size));
    mask.set(first!);
    for (const other of others) for (let row = 0; row < size; row += 1) mask[row]! &= other[row]!;
  }
  // Four rows at a time: most masks are nearly empty.
  const words = new Uint32Array(mask.buffer, 0, mask.length / 4);
  let count = 0;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    if (word !== 0) count += (Math.imul(word, 0x01010101) >>> 24) & 7;
  }
  const rows = new Uint32Array(count);
  let next = 0;
  for (let at = 0; at < words.length; at += 1) {
    if (words[at] === 0) continue;
    for (let row = 4 * at; row < 4 * at + 4; row += 1) {
      if (mask[row] === 1) {
        rows[next] = row;
        next += 1;
      }
    }
  }
  return { size: count, rows };
}

/** The declared columns as the gateway writes them, from a position on. */
function shown(rule: ViewRule, relation: Relation, from = 0): Table {
  const columns = rule.columns.map((column) => {
    const found = relation.columns.find((item) => item.name === column.name);
    if (!found) throw new Refusal(`the column ${column.name}`);
    return { ...column, found };
  });
  const rows: Cell[][] = [];
  for (let position = from; position < relation.size; position += 1) {
    const row = relation.rows ? relation.rows[position]! : position;
    rows.push(columns.map(({ type, found }) => cellOf(type, found.kind, found.at(row))));
  }
  return { columns: rule.columns, rows };
}

function cellOf(type: string, kind: string, value: Value): Cell {
  if (value === null) return null;
  if (kind === "date" || kind === "time") {
    const day = kind === "date" ? (value as number) : Math.floor((value as number) / 86_400_000_000);
    return type.startsWith("date") ? dayText(day) : instantText(kind === "time" ? (value as number) : day * 86_400_000_000);
  }
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

/** Binds of a query's parameters; `formats` says which of them are days. */
export function bindsOf(parameters: JsonObject, formats: Record<string, string>, asOf: string | null): Binds {
  const binds: Binds = Object.fromEntries(Object.keys(formats).map((name) => [name, bindOf(null, "")]));
  for (const [name, value] of Object.entries(parameters)) binds[name] = bindOf(value as Json, formats[name] ?? "");
  if (asOf) binds["as_of_time"] = { kind: "time", value: Date.parse(`${asOf.slice(0, 19)}Z`) * 1000 };
  return binds;
}

