/** The datasets that there are, asked for once and again on demand. */

import { shallowRef } from "vue";

import { api } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { Catalogue, Dataset } from "../api/types";

export const catalogue = shallowRef<Catalogue | null>(null);
export const catalogueProblem = shallowRef<Problem | null>(null);

let asking: Promise<void> | null = null;

export function loadCatalogue(again = false): Promise<void> {
  if (catalogue.value && !again) return Promise.resolve();
  asking ??= api
    .datasets()
    .then(
      (found) => {
        catalogue.value = found;
        catalogueProblem.value = null;
      },
      (error: unknown) => {
        catalogueProblem.value = asProblem(error);
      },
    )
    .finally(() => {
      asking = null;
    });
  return asking;
}

export function datasetNamed(name: string): Dataset | undefined {
  return catalogue.value?.datasets.find((item) => item.name === name);
}

/** The plant's day, for relative ranges; the browser's own where the warehouse has not told the time. */
export function plantToday(): string {
  const told = catalogue.value?.plant_time;
  return told ? told.slice(0, 10) : new Date().toISOString().slice(0, 10);
}
