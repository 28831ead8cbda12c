/** The same question for an earlier range, so that figures have something to be seen against. */

import { onScopeDispose, shallowReactive, shallowRef, triggerRef, watch, type Ref } from "vue";

import { api } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { Cell, Dataset, JsonObject, Table, View } from "../api/types";
import { addDays, dayCount } from "../format/format";
import { shapeOf, textColumns, type RangeRoles } from "./definition";
import { browserPorts, QuerySession, type SessionState } from "./session";
import type { Comparison, PageState } from "./state";

/** The range that this one is seen against: of the same length right before it, or the same days a year earlier. */
export function earlier(start: string, end: string, how: Exclude<Comparison, "">): { start: string; end: string } {
  if (how === "prev") {
    const days = dayCount(start, end);
    return { start: addDays(start, -days), end: addDays(start, -1) };
  }
  const yearBefore = (day: string): string => {
    const moved = `${Number(day.slice(0, 4)) - 1}${day.slice(4)}`;
    return moved.endsWith("-02-29") ? `${moved.slice(0, 8)}28` : moved;
  };
  return { start: yearBefore(start), end: yearBefore(end) };
}

/** How a figure has moved, in percent of what it was; null where that says nothing. */
export function change(now: Cell | undefined, before: Cell | undefined): number | null {
  if (typeof now !== "number" || typeof before !== "number" || before === 0) return null;
  return (100 * (now - before)) / Math.abs(before);
}

/** A column's values in another table of the same view, by the row's dimensions. */
export function valuesByKey(view: View, table: Table, column: string): Map<string, number> {
  const keys = textColumns(view).map((item) => table.columns.findIndex((other) => other.name === item.name));
  const at = table.columns.findIndex((item) => item.name === column);
  return new Map(table.rows.map((row) => [keys.map((index) => String(row[index])).join("\u0000"), Number(row[at] ?? 0)]));
}

export interface ComparisonState {
  range: { start: string; end: string } | null;
  busy: boolean;
  percent: number;
  problem: Problem | null;
  /** The slice names a day, which the other range does not have. */
  impossible: boolean;
}

interface Around {
  dataset: Dataset;
  roles: RangeRoles | null;
  state: Ref<PageState>;
  told: Ref<SessionState>;
  views: View[];
  lookBody: (views: View[]) => JsonObject;
  namesDay: () => boolean;
}

/** Follows the page: asks anew when its query or its slice changes, and forgets when nothing is compared. */
export function useComparison({ dataset, roles, state, told, views, lookBody, namesDay }: Around) {
  const compared = views.filter((view) => ["cards", "pareto", "bar", "trend"].includes(shapeOf(view)));
  const tables = shallowReactive(new Map<string, Table>());
  const status = shallowRef<ComparisonState>({ range: null, busy: false, percent: 0, problem: null, impossible: false });
  const set = (changes: Partial<ComparisonState>): void => { status.value = { ...status.value, ...changes }; };
  const ended = ["done", "failed", "cancelled", "idle", "expired"];
  const session = new QuerySession(dataset.route, browserPorts(api), () => {
    triggerRef(heard);
    set({ busy: !ended.includes(session.state.phase), percent: session.state.progress?.percent ?? 0, problem: session.state.problem });
  });
  const heard = shallowRef(session.state);
  let number = 0;

  async function look(): Promise<void> {
    const mine = ++number;
    tables.clear();
    set({ impossible: namesDay() });
    if (namesDay() || session.state.phase !== "done") return;
    try {
      const answer = await session.look("comparison", lookBody(compared));
      if (mine !== number || !answer) return;
      for (const [name, table] of Object.entries(answer.views)) tables.set(name, table);
      set({ problem: null });
    } catch (error) {
      if (mine === number) set({ problem: asProblem(error) });
    }
  }

  async function run(): Promise<void> {
    const mine = ++number;
    const how = state.value.compare;
    const ran = told.value.ran;
    tables.clear();
    const start = roles && ran?.[roles.start];
    const end = roles && ran?.[roles.end];
    if (how === "" || !roles || typeof start !== "string" || typeof end !== "string" || told.value.phase !== "done") {
      if (session.state.phase === "running") void session.cancel();
      set({ range: null });
      return;
    }
    const range = earlier(start, end, how);
    set({ range });
    await session.run({ ...ran, [roles.start]: range.start, [roles.end]: range.end });
    if (mine === number) await look();
  }

  watch([() => state.value.compare, () => told.value.version], () => void run());
  watch(() => JSON.stringify(state.value.slice), () => {
    if (state.value.compare !== "" && session.state.phase === "done") void look();
  });
  onScopeDispose(() => session.dispose());

  return { tables, status, retry: run };
}
