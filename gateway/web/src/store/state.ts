/** What a page shows, as its address says it: Scope (which rows are read) and Slice (which of them are looked at). */

import type { Json, JsonObject } from "../api/types";
import { isDay } from "../format/format";
import type { Control } from "./definition";
import { decodeOrigin, ORIGIN } from "./origin";

/** A choice within one filter: some values, or everything but some. */
export interface Choice {
  exclude: boolean;
  values: (string | null)[];
}

export const COMPARISONS = ["", "prev", "yoy"] as const;
/** Which earlier range the figures are seen against: none, the one right before, or that of a year ago. */
export type Comparison = (typeof COMPARISONS)[number];

export interface PageState {
  /** `2025-01-01..2025-12-31`, or relative to the plant's today: `-30d`. */
  range: string;
  scope: Record<string, Choice>;
  slice: Record<string, Choice>;
  sort: { key: string; descending: boolean } | null;
  columns: string[];
  rowsView: string;
  measures: Record<string, string>;
  compare: Comparison;
  /** Where the lots of the scope come from, as the address has it. */
  origin: string;
}

export function emptyState(): PageState {
  return { range: "", scope: {}, slice: {}, sort: null, columns: [], rowsView: "", measures: {}, compare: "", origin: "" };
}

const NULL = "~null";

const percent = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

/** One value so that commas and marks inside it survive; it is percent-encoded once more by the address. */
export function encodeValue(value: string | null): string {
  if (value === null) return NULL;
  const text = value.replace(/%/g, "%25").replace(/,/g, "%2C");
  return text === NULL || text.startsWith("!") || text === "" ? percent(value) || "%00" : text;
}

export function decodeValue(text: string): string | null {
  if (text === NULL) return null;
  if (text === "%00") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function encodeChoice(choice: Choice): string {
  return (choice.exclude ? "!" : "") + choice.values.map(encodeValue).join(",");
}

export function decodeChoice(text: string): Choice {
  const exclude = text.startsWith("!");
  const body = exclude ? text.slice(1) : text;
  return { exclude, values: body === "" ? [] : body.split(",").map(decodeValue) };
}

/** The state as the fields of an address, in a fixed order, so that equal states have equal addresses. */
export function toQuery(state: PageState): Record<string, string> {
  const query: Record<string, string> = {};
  if (state.range) query["r"] = state.range;
  for (const name of Object.keys(state.scope).sort()) query[`f.${name}`] = encodeChoice(state.scope[name]!);
  for (const name of Object.keys(state.slice).sort()) query[`x.${name}`] = encodeChoice(state.slice[name]!);
  for (const name of Object.keys(state.measures).sort()) query[`m.${name}`] = state.measures[name]!;
  if (state.compare) query["cmp"] = state.compare;
  if (state.rowsView) query["v"] = state.rowsView;
  if (state.sort) query["s"] = `${state.sort.key}:${state.sort.descending ? "desc" : "asc"}`;
  if (state.columns.length > 0) query["cols"] = state.columns.join(",");
  if (state.origin) query[ORIGIN] = state.origin;
  return query;
}

export interface Known {
  parameters: Control[];
  filters: Control[];
  hasRange: boolean;
  columns: Set<string>;
  sortKeys: Set<string>;
  rowsViews: Set<string>;
}

function isRange(text: string): boolean {
  return /^-[1-9]\d{0,3}d$/.test(text) || (text.includes("..") && text.split("..").every(isDay));
}

/** The state that an address says, and the fields of it that mean nothing here; those are named, never guessed at. */
export function fromQuery(query: Record<string, unknown>, known: Known): { state: PageState; ignored: string[] } {
  const state = emptyState();
  const ignored: string[] = [];
  const parameters = new Map(known.parameters.map((item) => [item.name, item]));
  const filters = new Map(known.filters.map((item) => [item.name, item]));
  for (const [key, raw] of Object.entries(query)) {
    const text = typeof raw === "string" ? raw : Array.isArray(raw) && typeof raw[0] === "string" ? raw[0] : "";
    if (!take(state, key, text, known, parameters, filters)) ignored.push(key);
  }
  return { state, ignored };
}

function take(
  state: PageState, key: string, text: string, known: Known, parameters: Map<string, Control>, filters: Map<string, Control>,
): boolean {
  const name = key.slice(2);
  if (key === "r") {
    if (!known.hasRange || !isRange(text)) return false;
    state.range = text;
    return true;
  }
  if (key.startsWith("f.") || key.startsWith("x.")) {
    const control = (key.startsWith("f.") ? parameters : filters).get(name);
    const choice = decodeChoice(text);
    if (!control || !fits(control, choice)) return false;
    (key.startsWith("f.") ? state.scope : state.slice)[name] = choice;
    return true;
  }
  if (key.startsWith("m.")) {
    state.measures[name] = text;
    return true;
  }
  if (key === ORIGIN) {
    if (!decodeOrigin(text)) return false;
    state.origin = text;
    return true;
  }
  if (key === "cmp") {
    const found = COMPARISONS.find((item) => item !== "" && item === text);
    if (!found || !known.hasRange) return false;
    state.compare = found;
    return true;
  }
  if (key === "v") {
    if (!known.rowsViews.has(text)) return false;
    state.rowsView = text;
    return true;
  }
  if (key === "s") {
    const [sortKey = "", order = ""] = text.split(":");
    if (!known.sortKeys.has(sortKey) || (order !== "asc" && order !== "desc")) return false;
    state.sort = { key: sortKey, descending: order === "desc" };
    return true;
  }
  if (key === "cols") {
    state.columns = text.split(",").filter((column) => known.columns.has(column));
    return state.columns.length > 0;
  }
  return key === "debug";
}

/** Whether the filter or parameter can take this choice at all. */
export function fits(control: Control, choice: Choice): boolean {
  const values = choice.values;
  if (choice.exclude && control.kind !== "match") return false;
  switch (control.kind) {
    case "choice":
      return values.length === 1 && control.choices.map(String).includes(String(values[0]));
    case "set":
      return values.length > 0 && values.every((value) => control.choices.map(String).includes(String(value)));
    case "match":
    case "list":
      return values.length > 0;
    case "pattern":
      return values.length === 1 && new RegExp(control.schema.pattern ?? "").test(values[0] ?? "");
    case "boolean":
      return values.length === 1 && (values[0] === "true" || values[0] === "false");
    case "number":
      return values.length === 1 && values[0] !== null && values[0] !== "" && Number.isFinite(Number(values[0]));
    case "date":
      return values.length === 1 && isDay(values[0] ?? "");
    default:
      return values.length === 1 && values[0] !== null && values[0] !== "";
  }
}

/** The choice as the call takes it. */
export function asJson(control: Control, choice: Choice): Json {
  const first = choice.values[0] ?? null;
  switch (control.kind) {
    case "match":
      return choice.exclude ? { exclude: choice.values } : { include: choice.values };
    case "set":
    case "list":
      return choice.values;
    case "boolean":
      return first === "true";
    case "number":
      return Number(first);
    case "choice":
      return (control.choices.find((item) => String(item) === String(first)) ?? first) as Json;
    default:
      return first;
  }
}

/** Choices as the members of a request. */
export function asBody(controls: Control[], choices: Record<string, Choice>): JsonObject {
  const body: JsonObject = {};
  for (const control of controls) {
    const choice = choices[control.name];
    if (choice && fits(control, choice)) body[control.name] = asJson(control, choice);
  }
  return body;
}

export function sameChoice(one: Choice | undefined, other: Choice | undefined): boolean {
  if (!one || !other) return one === other;
  return encodeChoice(one) === encodeChoice(other);
}

/** Names of the filters whose choice differs. */
export function changedFilters(one: Record<string, Choice>, other: Record<string, Choice>): string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => !sameChoice(one[name], other[name]));
}

