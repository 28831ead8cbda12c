/** Where the lots of a page come from, as its address says it: which rows had them, how many were taken, in which order. */

import type { Choice } from "./state";

/** The address's field. */
export const ORIGIN = "of";
/** So many values of a filter are named, the others are counted. */
export const MOST_NAMED = 3;
const MOST_FILTERS = 4;

export interface Sort {
  key: string;
  descending: boolean;
}

/** A filter that the rows were narrowed by. */
export interface Narrowing {
  name: string;
  /** Its first values. */
  choice: Choice;
  /** How many further values it has. */
  more: number;
}

export interface Origin {
  dataset: string;
  taken: number;
  total: number;
  /** Whether there are more lots than the total, which nobody counted. */
  more: boolean;
  sort: Sort;
  /** The days that were asked for; null where no days were. */
  days: { first: string; last: string } | null;
  /** What the rows were narrowed by, the chosen bar first. */
  filters: Narrowing[];
}

const SHAPE = /^([a-z0-9-]+),(\d+),(\d+)(\+?),(\w+),(asc|desc)((?:,[^,]*)*)$/;
const DAYS = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/;
const FILTER = /^(\w+):(!?)([^,+]*)(?:\+(\d+))?$/;

const VALUE = "|";
const encoded = (value: string | null): string => (value === null ? "~" : encodeURIComponent(value).replace(/[~!]/g, (mark) => (mark === "!" ? "%21" : "%7E")));

/** The value of a text; undefined where the text is none. */
function decoded(text: string): string | null | undefined {
  if (text === "~") return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export function narrowing(name: string, { exclude, values }: Choice): Narrowing {
  return { name, choice: { exclude, values: values.slice(0, MOST_NAMED) }, more: Math.max(0, values.length - MOST_NAMED) };
}

export function encodeOrigin({ dataset, taken, total, more, sort, days, filters }: Origin): string {
  const narrowed = filters.slice(0, MOST_FILTERS).map(({ name, choice, more: others }) =>
    `${name}:${choice.exclude ? "!" : ""}${choice.values.map(encoded).join(VALUE)}${others ? `+${others}` : ""}`);
  return [
    dataset, taken, `${total}${more ? "+" : ""}`, sort.key, sort.descending ? "desc" : "asc", ...(days ? [`${days.first}..${days.last}`] : []), ...narrowed,
  ].join(",");
}

/** The origin that a text means; null when it means none. */
export function decodeOrigin(text: unknown): Origin | null {
  const parts = typeof text === "string" ? SHAPE.exec(text) : null;
  if (!parts) return null;
  const [, dataset = "", taken, total, more, key = "", order, rest = ""] = parts;
  const said = rest.split(",").slice(1);
  const [, first, last] = DAYS.exec(said[0] ?? "") ?? [];
  const filters = (first ? said.slice(1) : said).map(decodeFilter);
  if (filters.length > MOST_FILTERS || filters.some((item) => item === null)) return null;
  return {
    dataset, taken: Number(taken), total: Number(total), more: more === "+", sort: { key, descending: order === "desc" },
    days: first && last ? { first, last } : null, filters: filters as Narrowing[],
  };
}

function decodeFilter(text: string): Narrowing | null {
  const [, name, mark, list = "", more] = FILTER.exec(text) ?? [];
  const values = list.split(VALUE).map(decoded);
  if (!name || values.some((value) => value === undefined)) return null;
  return { name, choice: { exclude: mark === "!", values: values as (string | null)[] }, more: Number(more ?? 0) };
}
