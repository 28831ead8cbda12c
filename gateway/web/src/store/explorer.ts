/** One dataset's page: the address says what to show, the session gets it, the tables are what is shown. */

import { computed, onScopeDispose, reactive, ref, shallowReactive, shallowRef, triggerRef, watch } from "vue";
import { useRoute, useRouter } from "vue-router";

import { announce, report, withdraw } from "../app/activity";
import { plantToday } from "../app/catalogue";
import { remember } from "../app/stored";
import { api } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { Dataset, JsonObject, OptionList, Receipt, Table, View } from "../api/types";
import { addDays, dayCount, isDay, number } from "../format/format";
import { language, t } from "../i18n";
import { chipsOf, untouching } from "./chips";
import { useComparison } from "./compare";
import { filtersOf, label, lotColumn, otherParameters, rangeRoles, viewParameters, type Control } from "./definition";
import { HeldRows } from "./held";
import { useLocalLooks } from "./local";
import { browserPorts, QuerySession } from "./session";
import { asBody, changedFilters, fits, fromQuery, toQuery, type Choice, type Known, type PageState } from "./state";

/** What would take longer than this waits for Run when a link is opened. */
const RUN_BY_ITSELF_S = 5;
const DEFAULT_RANGE = "-30d";
const PARTIAL_LOOK_MS = 2500;
export const BLOCK = 200;

export interface Shown {
  table: Table | null;
  problem: Problem | null;
  loading: boolean;
}

export interface Draft {
  start: string;
  end: string;
  scope: Record<string, Choice>;
}

/** First and last day that a range means; null when it means none. */
export function daysOf(range: string): { start: string; end: string } | null {
  const relative = /^-(\d+)d$/.exec(range);
  if (relative) {
    const today = plantToday();
    return { start: addDays(today, 1 - Number(relative[1])), end: today };
  }
  const [start = "", end = ""] = range.split("..");
  return isDay(start) && isDay(end) ? { start, end } : null;
}

export function useExplorer(dataset: Dataset) {
  const route = useRoute();
  const router = useRouter();
  const roles = rangeRoles(dataset);
  const parameters = otherParameters(dataset);
  const filters = filtersOf(dataset);
  const chartViews = dataset.views.filter((view) => !view.paged);
  const rowsViews = dataset.views.filter((view) => view.paged);
  const first = new Set(dataset.initial_views);
  const viewControls = dataset.views.flatMap(viewParameters);
  const isSnapshot = dataset.kind === "snapshot";
  const known: Known = {
    parameters,
    filters: [...filters, ...viewControls],
    hasRange: roles !== null,
    columns: new Set(rowsViews.flatMap((view) => view.columns.map((column) => column.name))),
    sortKeys: new Set(rowsViews.flatMap((view) => view.sort_keys.map((key) => key.name))),
    rowsViews: new Set(rowsViews.map((view) => view.name)),
  };

  const opened = fromQuery(route.query, known);
  const state = shallowRef<PageState>(opened.state);
  const ignored = ref(opened.ignored);
  const held = new HeldRows(dataset);
  const session = new QuerySession(dataset.route, { ...browserPorts(api), held: (body) => held.look(body) }, () => triggerRef(told));
  const told = shallowRef(session.state);
  const draft = reactive<Draft>({ start: "", end: "", scope: {} });
  const shown = shallowReactive(new Map<string, Shown>());
  const blocks = shallowReactive(new Map<number, Table>());
  const rows = reactive({ total: 0, loading: false, generation: 0, stale: false });
  const rowsProblem = shallowRef<Problem | null>(null);
  const lookReceipt = shallowRef<Receipt | null>(null);
  const options = shallowReactive(new Map<string, OptionList>());
  const key = `${dataset.name}-${Math.floor(performance.now())}`;
  const dirty = new Set<string>();
  /** The scope that was last asked about, as text. */
  let previewed = "";

  const rowsView = computed<View | undefined>(() => rowsViews.find((view) => view.name === state.value.rowsView) ?? rowsViews.find((view) => view.name === "list") ?? rowsViews[0]);
  const modes = computed(() => dataset.modes ?? []);
  const mode = computed(() => {
    const name = dataset.modes_parameter;
    if (!name || modes.value.length === 0) return undefined;
    const chosen = draft.scope[name]?.values[0] ?? parameters.find((item) => item.name === name)?.initial;
    return modes.value.find((item) => item.name === chosen) ?? modes.value[0];
  });
  /** Whether the mode takes it; what only says the kind of others goes with them. */
  const usable = (name: string): boolean => {
    const of = dataset.parameters.properties?.[name]?.["x-kind-of"];
    return !mode.value?.refused.includes(name) && !(typeof of === "string" && mode.value?.refused.includes(of));
  };
  const rangeUsable = computed(() => roles !== null && usable(roles.start));
  const shownParameters = computed(() => parameters.filter((item) => usable(item.name)));
  const required = computed(() => {
    const names = new Set([...(dataset.parameters.required ?? []), ...(mode.value?.required ?? [])]);
    return shownParameters.value.filter((item) => names.has(item.name));
  });

  function bodyOf(start: string, end: string, scope: Record<string, Choice>): JsonObject {
    const body = asBody(parameters.filter((item) => usable(item.name)), scope);
    if (dataset.modes_parameter && mode.value) body[dataset.modes_parameter] = mode.value.name;
    if (roles && rangeUsable.value && start && end) {
      body[roles.start] = start;
      body[roles.end] = end;
    }
    return body;
  }

  const draftBody = computed(() => bodyOf(draft.start, draft.end, draft.scope));
  const draftProblem = computed<string>(() => {
    if (rangeUsable.value && (draft.start || draft.end || needsRange())) {
      if (!isDay(draft.start) || !isDay(draft.end)) return t([draft.start, draft.end].some((day) => /^\d{5,}-/.test(day)) ? "scope.longYear" : "scope.notADay");
      if (draft.start > draft.end) return t("scope.reversed");
      const days = dayCount(draft.start, draft.end);
      const most = dataset.max_range_days;
      if (most > 0 && days > most) return t("scope.tooLong", { n: number(most, language.value), days: number(days, language.value) });
    }
    const missing = required.value.filter((item) => !(item.name in draftBody.value));
    return missing.length ? t("scope.required", { fields: missing.map((item) => label(item, language.value)).join(", ") }) : "";
  });
  const edited = computed(() => told.value.ran !== null && JSON.stringify(told.value.ran) !== JSON.stringify(draftBody.value));
  const busy = computed(() => ["submitting", "running", "requerying"].includes(told.value.phase));
  const chips = computed(() => chipsOf(filters, state.value.slice));
  const hasLots = computed(() => lotColumn(rowsView.value) !== undefined);
  const hasResult = computed(() => [...shown.values()].some((item) => item.table !== null) || blocks.size > 0);

  function needsRange(): boolean {
    return roles !== null && ((dataset.parameters.required ?? []).includes(roles.start) || (mode.value?.required ?? []).includes(roles.start));
  }

  function takeScope(from: PageState): void {
    const days = daysOf(from.range || (needsRange() ? DEFAULT_RANGE : ""));
    draft.start = days?.start ?? "";
    draft.end = days?.end ?? "";
    draft.scope = { ...from.scope };
  }

  /** The range as the address has it: relative when it was chosen so and still means the same days. */
  function draftRange(): string {
    if (!rangeUsable.value || !draft.start) return "";
    const days = dayCount(draft.start, draft.end);
    const relative = `-${days}d`;
    return draft.end === plantToday() && [7, 30, 90, 365].includes(days) ? relative : `${draft.start}..${draft.end}`;
  }

  async function go(next: PageState, how: "push" | "replace"): Promise<void> {
    // What is only for whoever looks stays in the address while they look.
    const debug = route.query["debug"];
    await router[how]({ query: { ...toQuery(next), ...(debug ? { debug } : {}) } });
  }

  async function run(fresh = false): Promise<void> {
    if (draftProblem.value) return;
    const body = draftBody.value;
    const scope = Object.fromEntries(Object.entries(draft.scope).filter(([name]) => usable(name)));
    // Other lots than those that were brought come from nowhere that could be named.
    const origin = changedFilters(scope, state.value.scope).length ? "" : state.value.origin;
    const next = { ...state.value, range: draftRange(), scope, origin };
    state.value = next;
    await go(next, "push");
    await start(body, fresh);
  }

  async function start(body: JsonObject, fresh: boolean): Promise<void> {
    rows.stale = true;
    const before = session.state.startedMs;
    await session.run(body, fresh);
    const { receipt, phase, progress, startedMs } = session.state;
    if (phase !== "done" || startedMs === before) return;
    remember({
      dataset: dataset.name, title: dataset.title, path: route.fullPath, time: new Date().toISOString(),
      seconds: (Date.now() - startedMs) / 1000, rows: receipt?.row_count ?? progress?.row_count ?? 0,
      reused: receipt?.chunks.reused ?? 0, total: receipt?.chunks.total ?? 0, status: receipt?.status ?? "complete",
      gaps: receipt?.failed_ranges ?? [],
    });
  }

  // ---- looks -----------------------------------------------------------------------------------------------------

  function lookBody(views: View[], chosen: Record<string, Choice> = state.value.slice): JsonObject {
    const own = new Set(views.flatMap((view) => viewParameters(view).map((item) => item.name)));
    const usableControls: Control[] = [...filters, ...viewControls.filter((item) => own.has(item.name))];
    const body: JsonObject = { ...asBody(usableControls, chosen), view: views.map((view) => view.name) };
    return body;
  }

  function put(name: string, changes: Partial<Shown>): void {
    shown.set(name, { table: null, problem: null, loading: false, ...shown.get(name), ...changes });
  }

  async function lookAt(lane: string, views: View[], partial = false): Promise<void> {
    if (views.length === 0) return;
    const wanted = chartViews.filter((view) => views.includes(view) || (dirty.has(view.name) && lane === laneOf(view)));
    for (const view of wanted) {
      dirty.add(view.name);
      put(view.name, { loading: true });
    }
    try {
      const answer = await session.look(lane, { ...lookBody(wanted), ...(partial ? { allow_partial: true } : {}) });
      if (!answer) return;
      lookReceipt.value = answer.receipt;
      for (const view of wanted) {
        dirty.delete(view.name);
        put(view.name, { table: answer.views[view.name] ?? null, problem: null, loading: false });
      }
    } catch (error) {
      if (partial) return;
      const problem = asProblem(error);
      for (const view of wanted) put(view.name, { problem, loading: false });
    }
  }

  const laneOf = (view: View): string => (first.size === 0 || first.has(view.name) ? "charts" : "more");

  function lookAtCharts(views: View[], partial = false): void {
    for (const lane of ["charts", "more"]) {
      const mine = views.filter((view) => laneOf(view) === lane);
      if (mine.length && !(partial && lane === "more")) void lookAt(lane, mine, partial);
    }
  }

  function restartRows(): void {
    rows.generation += 1;
    rows.stale = true;
    loadingBlocks.clear();
    void loadBlock(0);
  }

  const loadingBlocks = new Set<number>();

  async function loadBlock(index: number): Promise<void> {
    const view = rowsView.value;
    if (!view || loadingBlocks.has(index) || (blocks.has(index) && !rows.stale)) return;
    loadingBlocks.add(index);
    rows.loading = true;
    const generation = rows.generation;
    const { sort } = state.value;
    const body: JsonObject = { ...lookBody([view]), page: index + 1, page_size: BLOCK };
    if (sort && view.sort_keys.some((item) => item.name === sort.key)) Object.assign(body, { sort: sort.key, descending: sort.descending });
    try {
      const answer = await session.look(`rows-${index}`, body);
      if (!answer || generation !== rows.generation) return;
      const table = answer.views[view.name];
      if (rows.stale) blocks.clear();
      rows.stale = false;
      rowsProblem.value = null;
      lookReceipt.value = answer.receipt;
      if (table) blocks.set(index, table);
      rows.total = table?.page?.total_count ?? 0;
    } catch (error) {
      if (generation === rows.generation) rowsProblem.value = asProblem(error);
    } finally {
      if (generation === rows.generation) {
        loadingBlocks.delete(index);
        rows.loading = loadingBlocks.size > 0;
      }
    }
  }

  function lookAtAll(): void {
    options.clear();
    lookAtCharts(chartViews);
    if (rowsView.value) restartRows();
  }

  async function loadOptions(): Promise<void> {
    const queryId = session.state.queryId;
    if (!queryId && !isSnapshot) return;
    try {
      const answer = await api.options(dataset.route, { ...(queryId ? { query_id: queryId } : {}), ...asBody(filters, state.value.slice) });
      options.clear();
      for (const [name, list] of Object.entries(answer.options)) options.set(name, list);
    } catch (error) {
      // The list stays as it is; what is wrong with the rows shows where they are looked at.
      if (asProblem(error).expired) lookAtAll();
    }
  }

  const local = useLocalLooks({ held, told, state, views: chartViews, lookBody, shown, put });
  const comparison = useComparison({
    dataset, roles, state, told, views: chartViews, lookBody,
    namesDay: () => filters.some((item) => (item.kind === "pattern" || item.kind === "date" || /(^|_)(dates?|days?)$/.test(item.name)) && item.name in state.value.slice),
  });

  // ---- slice -----------------------------------------------------------------------------------------------------

  function slice(name: string, choice: Choice | null): void {
    const control = known.filters.find((item) => item.name === name);
    if (!control) return;
    const next = { ...state.value.slice };
    if (choice && choice.values.length > 0 && fits(control, choice)) next[name] = choice;
    else delete next[name];
    void go({ ...state.value, slice: next }, "push");
  }

  function clearSlice(): void {
    void go({ ...state.value, slice: {} }, "push");
  }

  function narrowedBy(view: View, names: string[]): boolean {
    const own = new Set([...view.filters, ...viewParameters(view).map((item) => item.name)]);
    return names.some((name) => own.has(name));
  }

  function follow(next: PageState): void {
    const before = state.value;
    state.value = next;
    const scopeBefore = JSON.stringify([before.range, before.scope]);
    if (JSON.stringify([next.range, next.scope]) !== scopeBefore) {
      takeScope(next);
      void openScope();
      return;
    }
    const changed = changedFilters(before.slice, next.slice);
    const ready = isSnapshot || (session.state.version > 0 && !busy.value);
    if (!ready) return;
    if (changed.length) lookAtCharts(chartViews.filter((view) => narrowedBy(view, changed)));
    const view = rowsView.value;
    const sorted = JSON.stringify(before.sort) !== JSON.stringify(next.sort) || before.rowsView !== next.rowsView;
    if (view && (sorted || narrowedBy(view, changed))) restartRows();
  }

  /** Asks what the scope of the address costs and runs it when that is next to nothing. */
  async function openScope(): Promise<void> {
    if (isSnapshot) return;
    const wanted = state.value.range !== "" || Object.keys(state.value.scope).length > 0;
    if (draftProblem.value) return;
    previewed = JSON.stringify(draftBody.value);
    const plan = await session.preview(draftBody.value);
    if (!plan || !wanted || busy.value) return;
    if (session.state.ran && JSON.stringify(session.state.ran) === JSON.stringify(draftBody.value) && session.state.phase === "done") return;
    const missing = plan.chunks.filter((chunk) => !chunk.cached).length;
    const quick = missing === 0 || (plan.estimated_duration_s !== null && plan.estimated_duration_s <= RUN_BY_ITSELF_S);
    if (quick) await start(draftBody.value, false);
  }

  // ---- what follows what -----------------------------------------------------------------------------------------

  let previewTimer = 0;
  watch(draftBody, (body) => {
    window.clearTimeout(previewTimer);
    // A second question for the same scope would make the answer void that an opened link waits for.
    if (isSnapshot || draftProblem.value || JSON.stringify(body) === previewed) return;
    previewed = JSON.stringify(body);
    previewTimer = window.setTimeout(() => void session.preview(body), 150);
  });

  watch(() => told.value.version, () => lookAtAll());

  let lastPartial = 0;
  watch(() => told.value.partialVersion, () => {
    const now = Date.now();
    if (told.value.phase !== "running" || hasFinal() || now - lastPartial < PARTIAL_LOOK_MS) return;
    lastPartial = now;
    lookAtCharts(chartViews, true);
  });

  const hasFinal = (): boolean => session.state.version > 0;

  watch(
    () => route.query,
    (query) => {
      if (route.name !== "dataset" || route.params["name"] !== dataset.name) return;
      const next = fromQuery(query, known);
      if (JSON.stringify(toQuery(next.state)) === JSON.stringify(toQuery(state.value))) return;
      ignored.value = next.ignored;
      follow(next.state);
    },
  );

  let quarter = 0;
  watch(
    () => [told.value.phase, told.value.progress?.percent ?? 0] as const,
    ([phase, percent], [before]) => {
      const path = route.fullPath;
      if (busy.value) report({ key, title: dataset.title, path, percent });
      else withdraw(key);
      if (phase === "running" && before !== "running") {
        quarter = 0;
        announce(t("strip.started", { n: told.value.progress?.total_count ?? 0 }));
      } else if (phase === "running" && Math.floor(percent / 25) > quarter) {
        quarter = Math.floor(percent / 25);
        announce(t("strip.percent", { n: quarter * 25 }));
      } else if (phase === "done" && before !== "done") {
        const receipt = told.value.receipt;
        announce(receipt && receipt.status !== "complete" ? t("strip.endedPartial") : t("strip.ended", { n: number(receipt?.row_count ?? 0, language.value) }));
      } else if (phase === "failed" && before !== "failed") announce(t("strip.failedSay"));
    },
  );

  takeScope(state.value);
  if (isSnapshot) lookAtAll();
  else void openScope();

  onScopeDispose(() => {
    window.clearTimeout(previewTimer);
    withdraw(key);
    session.dispose();
  });

  return {
    dataset, state, ignored, session, told, draft, shown, blocks, rows, rowsProblem, lookReceipt, options, filters, parameters,
    chartViews, rowsViews, rowsView, roles, modes, mode, rangeUsable, shownParameters, required, draftProblem, draftBody, edited,
    busy, chips, hasLots, hasResult, isSnapshot, run, slice, clearSlice, loadBlock, loadOptions, lookAtAll, lookBody,
    comparison, local,
    setComparison: (compare: PageState["compare"]) => void go({ ...state.value, compare }, "replace"),
    /** Titles of the filters that are set and leave the view as it is. */
    untouched: (view: View) => untouching(dataset, view, chips.value).map(({ control }) => label(control, language.value)),
    retryView: (view: View) => void lookAt(laneOf(view), [view]),
    setSort: (sort: PageState["sort"]) => void go({ ...state.value, sort }, "replace"),
    setColumns: (columns: string[]) => void go({ ...state.value, columns }, "replace"),
    setRowsView: (name: string) => void go({ ...state.value, rowsView: name, sort: null, columns: [] }, "replace"),
    setMeasure: (view: string, measure: string) => void go({ ...state.value, measures: { ...state.value.measures, [view]: measure } }, "replace"),
  };
}

export type Explorer = ReturnType<typeof useExplorer>;
