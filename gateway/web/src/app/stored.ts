/** What this browser keeps: settings, saved views, recent runs. A browser that keeps nothing still works. */

import { ref, watch, type Ref } from "vue";

import type { Gap } from "../api/types";

export function stored<T>(key: string, fallback: T): Ref<T> {
  const name = `sluice.${key}`;
  let initial = fallback;
  try {
    const text = localStorage.getItem(name);
    if (text !== null) initial = JSON.parse(text) as T;
  } catch {
    // Unreadable or forbidden: as if nothing had been kept.
  }
  const value = ref(initial) as Ref<T>;
  watch(
    value,
    (changed) => {
      try {
        localStorage.setItem(name, JSON.stringify(changed));
      } catch {
        // Full or forbidden: kept as long as the page.
      }
    },
    { deep: true },
  );
  return value;
}

export interface Run {
  dataset: string;
  title: string;
  /** Address within the page. */
  path: string;
  /** Sluice's own instant, ISO 8601. */
  time: string;
  seconds: number;
  rows: number;
  reused: number;
  total: number;
  status: string;
  /** What could not be read. */
  gaps?: Gap[];
}

export interface SavedView {
  id: string;
  name: string;
  note: string;
  dataset: string;
  path: string;
  time: string;
}

const MOST_RUNS = 200;

export const runs = stored<Run[]>("runs", []);
export const savedViews = stored<SavedView[]>("saved", []);
/** Ids of the saved views with which datasets open, by the dataset's name. */
export const defaultViews = stored<Record<string, string>>("defaults", {});
/** How high cards were when they were last drawn, by dataset and view: their place is kept while they load again. */
export const cardHeights = stored<Record<string, number>>("heights", {});
export const singleKeys = stored<boolean>("keys", true);

export function remember(run: Run): void {
  runs.value = [run, ...runs.value.filter((item) => item.path !== run.path)].slice(0, MOST_RUNS);
}

/** A name for a saved view that no other has; random enough for one browser, on pages without secure context too. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
