/** From lots to the pages that can be asked about them. */

import type { Dataset } from "../api/types";
import { controls, label, lotParameter, type Control } from "./definition";
import { encodeValue } from "./state";

/** More lots than this are no selection any more; an address carries about as many. */
export const MOST_LOTS = 600;

/** A dataset that answers for lots by name. */
export interface LotTarget {
  dataset: Dataset;
  title: string;
  /** So many names it takes. */
  most: number;
  query: (names: string[]) => Record<string, string>;
}

function byName(dataset: Dataset): { parameter: Control; mode: string | undefined } | undefined {
  const all = controls(dataset.parameters);
  const parameter = all.find((item) => item.kind === "list" && /^(container_values|lots|lot_ids|lot_names)$/.test(item.name));
  if (!parameter) return undefined;
  const modes = dataset.modes ?? [];
  const mode = modes.find((item) => item.required.includes(parameter.name));
  if (modes.length && !mode) return undefined;
  const needed = new Set([...(dataset.parameters.required ?? []), ...(mode?.required ?? [])]);
  const open = all.filter((item) => needed.has(item.name) && item !== parameter && item.name !== dataset.modes_parameter && item.initial === undefined);
  return open.length ? undefined : { parameter, mode: mode?.name };
}

/** The datasets that can be asked about lots without anything more to fill in. */
export function lotTargets(datasets: Dataset[], language: string): LotTarget[] {
  return datasets.flatMap((dataset) => {
    const found = byName(dataset);
    if (!found) return [];
    const most = Math.min(MOST_LOTS, found.parameter.schema.maxItems ?? MOST_LOTS);
    const fixed: Record<string, string> = found.mode && dataset.modes_parameter ? { [`f.${dataset.modes_parameter}`]: found.mode } : {};
    const query = (names: string[]): Record<string, string> => ({ ...fixed, [`f.${found.parameter.name}`]: names.slice(0, most).map(encodeValue).join(",") });
    return [{ dataset, title: label(dataset, language), most, query }];
  });
}

/** Where a trace leads: datasets that take containers by key, which say exactly which ones are meant. */
export function keyTargets(datasets: Dataset[], ids: string[], language: string): { name: string; title: string; query: Record<string, string> }[] {
  return datasets.flatMap((dataset) => {
    const parameter = lotParameter(dataset);
    if (!parameter?.keys) return [];
    const mode: Record<string, string> = parameter.mode && dataset.modes_parameter ? { [`f.${dataset.modes_parameter}`]: parameter.mode } : {};
    return [{ name: dataset.name, title: label(dataset, language), query: { [`f.${parameter.name}`]: ids.slice(0, MOST_LOTS).map(encodeValue).join(","), ...mode } }];
  });
}
