/** What a dataset's definition means for the page: which control each field gets, which filter a click sets. */

import type { Cell, Column, Dataset, Json, Labels, Schema, View } from "../api/types";
import { isDate, isNumeric, isTimestamp } from "../format/format";
import { composed, fieldsOf, partsOf } from "./patterns";

export type ControlKind = "date" | "text" | "number" | "boolean" | "choice" | "set" | "match" | "list" | "pattern";

/** A field of the form: a primary parameter, or a filter of the rows that are there. */
export interface Control {
  name: string;
  kind: ControlKind;
  title: string;
  labels?: Labels | undefined;
  description: string;
  required: boolean;
  choices: Cell[];
  initial: Json | undefined;
  example: string;
  schema: Schema;
}

export interface RangeRoles {
  start: string;
  end: string;
}

const alternatives = (schema: Schema): Schema[] => schema.oneOf ?? schema.anyOf ?? [];

export function kindOf(schema: Schema): ControlKind {
  if (schema.enum) return "choice";
  const options = alternatives(schema);
  if (options.some((option) => option.type === "object")) return "match";
  if (options.length > 0) return kindOf(options.find((option) => option.type === "array") ?? options[0]!);
  const type = Array.isArray(schema.type) ? schema.type.find((item) => item !== "null") : schema.type;
  if (type === "array") return schema.items?.enum ? "set" : "list";
  if (type === "boolean") return "boolean";
  if (type === "integer" || type === "number") return "number";
  if (schema.format === "date") return "date";
  return schema.pattern && schema.pattern.includes("(?<") ? "pattern" : "text";
}

function control(name: string, schema: Schema, required: boolean): Control {
  const kind = kindOf(schema);
  const choices = kind === "choice" ? schema.enum : kind === "set" ? schema.items?.enum : [];
  const example = schema.examples?.[0];
  return {
    name,
    kind,
    title: schema.title ?? name,
    labels: schema.labels ?? (schema["x-labels"] as Labels | undefined),
    description: schema.description ?? "",
    required,
    choices: choices ?? [],
    initial: schema.default,
    example: typeof example === "string" ? example : "",
    schema,
  };
}

/** Fields as the definition orders them, after those that are ranked. */
export function controls(schema: Schema, ranked: string[] = []): Control[] {
  const required = new Set(schema.required ?? []);
  const order = [...new Set([...ranked, ...((schema["x-order"] as string[] | undefined) ?? schema.required ?? [])])];
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(schema.properties ?? {})
    .sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1))
    .map(([name, member]) => control(name, member, required.has(name)));
}

/** The filters in the order in which the views declare them. */
export function filtersOf(dataset: Dataset): Control[] {
  return controls(dataset.filters, dataset.views.flatMap((view) => view.filters));
}

/** The two parameters that are the range, by their declared role or, without one, by their names. */
export function rangeRoles(dataset: Dataset): RangeRoles | null {
  const dates = controls(dataset.parameters).filter((item) => item.kind === "date");
  const of = (role: string): string | undefined =>
    dates.find((item) => item.schema["x-role"] === role)?.name ?? dates.find((item) => item.name === role)?.name;
  const start = of("start_date");
  const end = of("end_date");
  return start && end ? { start, end } : null;
}

/** Parameters apart from the range, in the order of the definition. */
export function otherParameters(dataset: Dataset): Control[] {
  const roles = rangeRoles(dataset);
  return controls(dataset.parameters).filter((item) => item.name !== roles?.start && item.name !== roles?.end);
}

/** Parameters of a view, shown beside its title; each has a default. */
export function viewParameters(view: View): Control[] {
  return view.parameters ? controls(view.parameters) : [];
}

export type Shape = "cards" | "trend" | "pareto" | "bar" | "heatmap" | "table" | "grid";

/** How a view is drawn; a hint that is not known here is a table, so nothing is ever left out. */
export function shapeOf(view: View): Shape {
  if (view.paged) return "grid";
  switch (view.chart) {
    case "cards":
    case "kpi":
      return "cards";
    case "line":
    case "area":
    case "stacked":
      return view.columns.some((column) => isDimensionOfTime(column)) ? "trend" : "bar";
    case "pareto":
      return "pareto";
    case "bar":
    case "pie":
      return "bar";
    case "heatmap":
    case "matrix":
      return view.columns.filter((column) => !isNumeric(column.type)).length >= 2 ? "heatmap" : "table";
    default:
      return "table";
  }
}

export function isDimensionOfTime(column: Column): boolean {
  if (column.role) return column.role === "time";
  return isDate(column.type) || isTimestamp(column.type) || /^(day|date|week|month|period|hour)$/.test(column.name);
}

const isMeasure = (column: Column): boolean =>
  column.role ? column.role === "measure" : isNumeric(column.type);

/** A number that only says where something stands in an order. */
const isPlace = (column: Column): boolean => column.role !== "measure" && /(^|_)(seq|sequence|rank|position|order)($|_)/.test(column.name);

/** Measures in their order; places in an order come last, as nobody wants to see them drawn first. */
export const numericColumns = (view: View): Column[] => {
  const all = view.columns.filter(isMeasure);
  return [...all.filter((column) => !isPlace(column)), ...all.filter(isPlace)];
};
/** The measure that is drawn until somebody picks another: the one that the view declares, else the first. */
export const firstMeasure = (view: View, measures: Column[]): Column | undefined => measures.find((column) => column.name === view.measure) ?? measures[0];
export const textColumns = (view: View): Column[] => view.columns.filter((column) => !isMeasure(column));

const LOT_COLUMNS = ["lot_id", "lot", "container_name"];

/** The column of a view that names lots; undefined where it names none. */
export function lotColumn(view: View | undefined): string | undefined {
  return LOT_COLUMNS.find((name) => view?.columns.some((column) => column.name === name));
}

/** The parameter that takes lots of a trace: their keys or their names; undefined where the dataset asks for none. */
export function lotParameter(dataset: Dataset): { name: string; keys: boolean; mode: string | undefined } | undefined {
  const lists = controls(dataset.parameters).filter((item) => item.kind === "list");
  const keys = lists.find((item) => item.name === "container_ids");
  const found = keys ?? lists.find((item) => /^(lots|lot_ids|container_values|values)$/.test(item.name));
  if (!found) return undefined;
  return { name: found.name, keys: found === keys, mode: dataset.modes?.find((item) => item.required.includes(found.name))?.name };
}

/** Columns that are shares of others: drawn as text beside the bars, not as bars of their own. */
export const isShare = (column: Column): boolean => column.unit === "%" || /(^|_)(pct|percent|share|ratio|rate)$|^cum_/.test(column.name);

/**
 * The filter that a click on a value of this column sets: the one that the column names, else the one of the same name,
 * else the one whose name the column's ends with (`hold_reason` of a filter `reason`).
 */
export function filterOfColumn(dataset: Dataset, column: Column, view?: View): Control | null {
  const filters = controls(dataset.filters);
  if (view?.selects && !column.filter && textColumns(view)[0]?.name === column.name) {
    return filters.find((item) => item.name === view.selects) ?? null;
  }
  if (column.filter) return filters.find((item) => item.name === column.filter) ?? null;
  const usable = filters.filter((item) => item.kind !== "pattern" && item.kind !== "date");
  return (
    usable.find((item) => item.name === column.name) ??
    usable.find((item) => item.name === `${column.name}s`) ??
    usable.find((item) => item.kind === "match" && column.name.endsWith(`_${item.name}`)) ??
    null
  );
}

/**
 * The value of a pattern filter that means this point of a trend, null when the filter means something else.
 *
 * A group `day` takes the point's day. A group that lists words (`new|release`) takes the one that the name of the drawn
 * column holds, so that a click on `new_hold_qty` means `2025-03-14:new`.
 */
export function patternValue(filter: Control, day: string, measure: string): string | null {
  const fields: Record<string, string> = {};
  for (const part of partsOf(filter) ?? []) {
    if (part.kind === "day") fields[part.name] = day;
    else if (part.kind === "word") fields[part.name] = part.words.find((word) => measure.includes(word)) ?? "";
  }
  return composed(filter, fields);
}

/** What people read for a word or a value of a choice. */
export function wordText(item: Control, word: string, language: string): string {
  const texts = (item.schema["x-value-labels"] as Record<string, Labels> | undefined)?.[word];
  return texts?.[language] ?? texts?.["en"] ?? word;
}

/** `new:2025-03-10..2025-03-16` as people read it: `placed 2025-03-10 – 2025-03-16`. */
export function patternText(item: Control, value: string, language: string): string {
  const fields = fieldsOf(item, value);
  const said = (partsOf(item) ?? []).map((part) => (part.kind === "fixed" ? (part.text === ".." ? "–" : "") : part.kind === "word" ? wordText(item, fields[part.name]!, language) : fields[part.name]!));
  return said.filter(Boolean).join(" ") || value;
}

/** What people read for a value of a choice: its text in their language, in English, or the value itself. */
export function valueText(item: Control, value: string | null, language: string): string | null {
  if (value === null) return null;
  return item.kind === "pattern" ? patternText(item, value, language) : wordText(item, value, language);
}

/** What people read for a value of a column: the text of a choice where a filter, or a parameter, of its name has one. */
export function valueOfColumn(dataset: Dataset, column: Column, value: string, language: string): string {
  const item = filterOfColumn(dataset, column) ?? filtersOf(dataset).find(({ name }) => name === column.name);
  return item && ["choice", "set"].includes(item.kind) ? wordText(item, value, language) : value;
}

/** The label in the language of the page; without one the title as the definition has it. */
export function label(item: { title?: string | undefined; name?: string; labels?: Labels | undefined }, language: string): string {
  return item.labels?.[language] ?? item.title ?? item.name ?? "";
}

/** What one row of the dataset is. */
export const description = (dataset: Dataset, language: string): string => dataset.descriptions?.[language] ?? dataset.description;

/** When a day of the dataset runs. */
export const dayRule = (dataset: Dataset, language: string): string => dataset.day_rules?.[language] ?? dataset.day_rule;
