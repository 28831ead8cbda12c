/** The filters that narrow what is shown, presets among them, and the views that they leave alone. */

import type { Dataset, View } from "../api/types";
import { filterOfColumn, shapeOf, textColumns, type Control } from "./definition";
import type { Choice } from "./state";

export interface Chip {
  control: Control;
  choice: Choice;
  /** Whether the dataset set it, and nobody here. */
  preset: boolean;
  /** What the slice has in its place once it is removed: null for nothing; undefined where it cannot be. */
  removed: Choice | null | undefined;
}

const text = (value: unknown): string | null => (value === null ? null : String(value));

/** What a filter is set to where nobody sets it; undefined where it is off. */
export function presetOf(control: Control): Choice | undefined {
  const { initial } = control;
  if (initial === undefined || initial === null) return undefined;
  const values = (Array.isArray(initial) ? initial : [initial]).map(text);
  return values.length ? { exclude: false, values } : undefined;
}

/** The choice that keeps every row; undefined where the filter has none. */
export function everything(control: Control): Choice | undefined {
  const every = control.schema["x-every"];
  if (typeof every === "string") return { exclude: false, values: [every] };
  return control.kind === "set" ? { exclude: false, values: control.choices.map(text) } : undefined;
}

function keepsAll(control: Control, choice: Choice): boolean {
  const all = everything(control);
  return !choice.exclude && !!all && all.values.every((value) => choice.values.includes(value));
}

/** One chip for each filter that narrows, in the order of the filters. */
export function chipsOf(filters: Control[], slice: Record<string, Choice>): Chip[] {
  return filters.flatMap((control) => {
    const preset = presetOf(control);
    const choice = slice[control.name] ?? preset;
    if (!choice || keepsAll(control, choice)) return [];
    return [{ control, choice, preset: !(control.name in slice), removed: preset ? everything(control) : null }];
  });
}

/** The chips that leave a view as it is, but those that its own marks set: there the marks say it. */
export function untouching(dataset: Dataset, view: View, chips: Chip[]): Chip[] {
  const drawn = ["pareto", "bar"].includes(shapeOf(view)) ? textColumns(view).map((column) => filterOfColumn(dataset, column, view)) : [];
  const own = drawn.find((control) => control !== null)?.name;
  return chips.filter(({ control }) => !view.filters.includes(control.name) && control.name !== own);
}
