/** The origin of a page's lots in words. */

import type { Column, Dataset } from "../api/types";
import { isDate, isNumeric, isTimestamp, number } from "../format/format";
import { language, t, type Key } from "../i18n";
import { filtersOf, label, valueText } from "./definition";
import type { Narrowing, Origin, Sort } from "./origin";

/** `Held, latest first`: an order in words. */
export function orderText(column: Column | undefined, { key, descending }: Sort): string {
  const type = column?.type ?? "";
  const kind = isDate(type) || isTimestamp(type) ? "time" : isNumeric(type) ? "number" : "text";
  return t("order.of", { column: column ? label(column, language.value) : key, order: t(`order.${kind}.${descending ? "down" : "up"}` as Key) });
}

/** `Reason: yield_low`: what rows were narrowed by, in words. */
function narrowingText({ name, choice, more }: Narrowing, dataset: Dataset | undefined): string {
  const control = dataset && filtersOf(dataset).find((item) => item.name === name);
  const values = choice.values.map((value) => (control ? valueText(control, value, language.value) : value) ?? t("slice.none")).join(", ");
  return `${control ? label(control, language.value) : name}: ${choice.exclude ? "≠ " : ""}${values}${more ? ` +${number(more, language.value)}` : ""}`;
}

/** Which rows they were: `Hold history · Reason: yield_low · 2025-03-01 – 2025-03-31`. */
function rowsText({ dataset: name, days, filters }: Origin, dataset: Dataset | undefined): string {
  const title = dataset ? label(dataset, language.value) : name;
  const when = days ? [days.first === days.last ? days.first : `${days.first} – ${days.last}`] : [];
  return [title, ...filters.map((item) => narrowingText(item, dataset)), ...when].join(" · ");
}

/** What the page with the lots says of them. */
export function originText(origin: Origin, datasets: Dataset[]): string {
  const dataset = datasets.find((item) => item.name === origin.dataset);
  const view = dataset?.views.find((item) => item.paged && item.sort_keys.some((key) => key.name === origin.sort.key));
  const column = view?.columns.find((item) => item.name === origin.sort.key);
  const of = rowsText(origin, dataset);
  const count = number(origin.total, language.value);
  if (!origin.more && origin.taken >= origin.total) return t("origin.all", { n: count, of });
  const total = origin.more ? t("origin.moreThan", { n: count }) : count;
  return t("origin.some", { taken: number(origin.taken, language.value), total, of, order: orderText(column, origin.sort) });
}
