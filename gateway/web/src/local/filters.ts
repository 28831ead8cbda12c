/** View-time filters as conditions and binds, built as the query-engine builds them. */

import type { Json, JsonObject } from "../api/types";
import type { Bind, Binds } from "./expressions";
import { Refusal } from "./sql";
import { parseDay } from "./values";

export type FilterRule =
  | { kind: "choice"; predicates: Record<string, string>; default: string | null }
  | { kind: "set"; predicates: Record<string, string>; default: string[] }
  | { kind: "match"; column: string; null_label: string | null; keeps: string }
  | { kind: "pattern"; pattern: string; groups: Record<string, string>; select: string; predicates: Record<string, string> };

/** What the views of a dataset compute, as `GET /api/datasets/{name}/computation` tells it. */
export interface Computation {
  table: string;
  filters: Record<string, FilterRule>;
  views: Record<string, ViewRule>;
}

export interface ViewRule {
  sql: string;
  filters: string[];
  columns: { name: string; type: string }[];
  paged: boolean;
  /** Names in the order of the definition, the first is the default. */
  sort: { name: string; expression: string; descending: boolean }[];
  tiebreaker: string;
  parameters: Record<string, Json>;
}

export interface Condition { predicate: string; binds: Binds }

const EVERY_ROW: Condition = { predicate: "", binds: {} };

/** The condition of one filter; an empty predicate keeps every row. */
export function conditionOf(name: string, rule: FilterRule, given: Json | undefined): Condition {
  const value = given ?? null;
  switch (rule.kind) {
    case "choice": {
      const chosen = value ?? rule.default;
      if (chosen === null) return EVERY_ROW;
      const predicate = rule.predicates[String(chosen)];
      if (predicate === undefined) throw new Refusal(`${name}: ${String(chosen)}`);
      return { predicate, binds: {} };
    }
    case "set":
      return ofSet(rule, value);
    case "match":
      return value === null ? EVERY_ROW : ofMatch(name, rule, value);
    default:
      return value === null ? EVERY_ROW : ofPattern(name, rule, String(value));
  }
}

function ofSet(rule: Extract<FilterRule, { kind: "set" }>, value: Json): Condition {
  const chosen = value === null ? rule.default : Array.isArray(value) ? value.map(String) : String(value).split(",").map((word) => word.trim());
  const wanted = Object.entries(rule.predicates).filter(([word]) => chosen.includes(word)).map(([, predicate]) => predicate);
  if (wanted.length === 0 || wanted.includes("")) return EVERY_ROW;
  return { predicate: wanted.map((predicate) => `(${predicate})`).join(" or "), binds: {} };
}

function ofMatch(name: string, rule: Extract<FilterRule, { kind: "match" }>, value: Json): Condition {
  const lists: JsonObject = value !== null && typeof value === "object" && !Array.isArray(value) ? value : { include: value };
  const binds: Binds = {};
  const terms: string[] = [];
  const included = inside(rule, lists["include"], `${name}_include`, binds);
  const excluded = inside(rule, lists["exclude"], `${name}_exclude`, binds);
  if (included) terms.push(`(${included})`);
  // A missing value is no excluded text, so it stays unless it is excluded by its label.
  if (excluded) terms.push(`(not (${excluded}) is true)`);
  const chosen = terms.join(" and ");
  return { predicate: chosen && rule.keeps ? `(${rule.keeps}) or (${chosen})` : chosen, binds };
}

function inside(rule: Extract<FilterRule, { kind: "match" }>, given: Json | undefined, bind: string, binds: Binds): string {
  const values = given === undefined ? [] : Array.isArray(given) ? given : [given];
  const texts = [...new Set(values.filter((item) => item !== null).map((item) => String(item).trim()))].sort();
  const missing = values.includes(null) || (rule.null_label !== null && texts.includes(rule.null_label));
  const terms: string[] = [];
  if (texts.length) {
    terms.push(`list_contains($${bind}, ${rule.column})`);
    binds[bind] = { kind: "list", value: texts };
  }
  if (missing) terms.push(`${rule.column} is null`);
  return terms.join(" or ");
}

function ofPattern(name: string, rule: Extract<FilterRule, { kind: "pattern" }>, value: string): Condition {
  const found = new RegExp(`^(?:${rule.pattern.replace(/\(\?P</g, "(?<")})$`).exec(value.trim());
  if (!found?.groups) throw new Refusal(`${name}: ${value}`);
  const binds: Binds = {};
  for (const [group, kind] of Object.entries(rule.groups)) {
    const text = found.groups[group] ?? "";
    binds[`${name}_${group}`] = kind === "date" ? { kind: "date", value: parseDay(text) } : { kind: "text", value: text };
  }
  const predicate = rule.predicates[found.groups[rule.select] ?? ""];
  if (predicate === undefined) throw new Refusal(`${name}: ${value}`);
  return { predicate, binds };
}

/** A value of a parameter as a bind; texts of days are days where the definition says so. */
export function bindOf(value: Json, format: string): Bind {
  if (value === null) return { kind: "null", value: null };
  if (Array.isArray(value)) return { kind: "list", value: value.map(String) };
  if (typeof value === "string") return format === "date" ? { kind: "date", value: parseDay(value) } : { kind: "text", value };
  if (typeof value === "number") return { kind: Number.isInteger(value) ? "int" : "double", value };
  return { kind: "bool", value: value === true };
}
