/** A stretch of days, drawn with the mouse on a chart, as the filter that means it. */

import type { Column, Dataset, View } from "../api/types";
import { addDays } from "../format/format";
import { filterOfColumn, filtersOf, type Control } from "./definition";
import { composed, partsOf } from "./patterns";
import type { Choice } from "./state";

export interface Stretch {
  first: string;
  last: string;
}

/** Days between which a list of days is still a filter. */
const MOST_DAYS = 366;

/** The filter of a dataset that takes the days of an axis: one with two days in it, or a list of days; null without any. */
export function stretchFilter(dataset: Dataset, axis: Column, view: View): Control | null {
  const filters = filtersOf(dataset).filter((item) => !view.filters.includes(item.name) || item.name === axis.filter);
  const named = (item: Control, name: string): boolean => (partsOf(item) ?? []).some((part) => part.kind === "day" && part.name === name);
  const two = filters.find((item) => item.kind === "pattern" && named(item, "first") && named(item, "last"));
  const own = filterOfColumn(dataset, axis);
  return two ?? (own?.kind === "match" ? own : null);
}

/** The last day of what a point of the axis stands for: a day, the week from it, or the month it is in. */
export function lastDay(day: string, grain: string): string {
  if (grain === "week") return addDays(day, 6);
  if (grain === "month") return addDays(`${nextMonth(day.slice(0, 7))}-01`, -1);
  return day;
}

function nextMonth(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
}

/** The choice that means the stretch; of several events the one that the drawn measure names, else the first. */
export function stretchChoice(control: Control, { first, last }: Stretch, measure: string): Choice | null {
  if (control.kind === "match") {
    const days: string[] = [];
    for (let day = first; day <= last && days.length <= MOST_DAYS; day = addDays(day, 1)) days.push(day);
    return days.length > MOST_DAYS ? null : { exclude: false, values: days };
  }
  const fields: Record<string, string> = { first, last };
  for (const part of partsOf(control) ?? []) {
    if (part.kind === "word") fields[part.name] = part.words.find((word) => measure.includes(word)) ?? part.words[0]!;
  }
  const value = composed(control, fields);
  return value === null ? null : { exclude: false, values: [value] };
}

/** The stretch that a choice means; null when it means none. */
export function stretchOf(control: Control, choice: Choice | undefined): Stretch | null {
  if (!choice || choice.exclude) return null;
  const days = control.kind === "match" ? choice.values.filter((value): value is string => value !== null) : [...(choice.values[0]?.matchAll(/\d{4}-\d{2}-\d{2}/g) ?? [])].map((match) => match[0]);
  if (days.length === 0) return null;
  const sorted = [...days].sort();
  return { first: sorted[0]!, last: sorted[sorted.length - 1]! };
}
