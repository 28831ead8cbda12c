/** The origin of a page's lots in words. */

import type { Column, Dataset } from "../api/types";
import { isDate, isNumeric, isTimestamp, number } from "../format/format";
import { language, t, type Key } from "../i18n";
import { label } from "./definition";
import type { Origin, Sort } from "./origin";

/** `Held, latest first`: an order in words. */
export function orderText(column: Column | undefined, { key, descending }: Sort): string {
  const type = column?.type ?? "";
  const kind = isDate(type) || isTimestamp(type) ? "time" : isNumeric(type) ? "number" : "text";
  return t("order.of", { column: column ? label(column, language.value) : key, order: t(`order.${kind}.${descending ? "down" : "up"}` as Key) });
}

/** What the page with the lots says of them. */
export function originText(origin: Origin, datasets: Dataset[]): string {
  const dataset = datasets.find((item) => item.name === origin.dataset);
  const view = dataset?.views.find((item) => item.paged && item.sort_keys.some((key) => key.name === origin.sort.key));
  const column = view?.columns.find((item) => item.name === origin.sort.key);
  const title = dataset ? label(dataset, language.value) : origin.dataset;
  const count = number(origin.total, language.value);
  if (!origin.more && origin.taken >= origin.total) return t("origin.all", { n: count, dataset: title });
  const total = origin.more ? t("origin.moreThan", { n: count }) : count;
  return t("origin.some", { taken: number(origin.taken, language.value), total, dataset: title, order: orderText(column, origin.sort) });
}
