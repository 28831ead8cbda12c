/** Looks at rows that the page holds: while a stretch is drawn, and after the gateway's copy has expired. */

import { onScopeDispose, ref, watch, type Ref, type ShallowRef } from "vue";

import type { JsonObject, Table, View } from "../api/types";
import type { Control } from "./definition";
import type { HeldRows } from "./held";
import type { SessionState } from "./session";
import type { Choice, PageState } from "./state";

/** Results up to this size, some 10 MB, are held as soon as people slice them, so that they outlive the gateway's copy. */
const HELD_BY_ITSELF = 50_000;
const QUIET_MS = 1500;

interface Parts {
  held: HeldRows;
  told: ShallowRef<SessionState>;
  state: Ref<PageState>;
  views: View[];
  lookBody: (views: View[], slice?: Record<string, Choice>) => JsonObject;
  shown: Map<string, { table: Table | null }>;
  put: (name: string, changes: { table: Table | null }) => void;
}

export function useLocalLooks({ held, told, state, views, lookBody, shown, put }: Parts) {
  /** Whether a stretch is being drawn, and charts show it already. */
  const drawing = ref(false);
  let before: Map<string, Table | null> | null = null;
  let next: (() => Promise<void>) | null = null;
  let looking = false;
  let timer = 0;

  /** Gets the rows of the result here; false where they cannot be had. */
  async function hold(): Promise<boolean> {
    const { phase, queryId, ran, receipt } = told.value;
    return phase === "done" && queryId !== "" && ran !== null && receipt !== null && held.hold({ queryId, parameters: ran, receipt });
  }

  /** Shows what a choice would leave, without asking anybody; of several the last is shown. */
  function preview(control: Control, choice: Choice): void {
    drawing.value = true;
    const narrowed = views.filter((view) => view.filters.includes(control.name));
    if (!before) before = new Map(narrowed.map((view) => [view.name, shown.get(view.name)?.table ?? null]));
    next = async () => {
      if (!(await hold())) return;
      const answer = await held.look(lookBody(narrowed, { ...state.value.slice, [control.name]: choice }));
      if (!answer || !drawing.value) return;
      for (const view of narrowed) put(view.name, { table: answer.views[view.name] ?? null });
    };
    void work();
  }

  async function work(): Promise<void> {
    if (looking) return;
    looking = true;
    for (let run = next; run; run = next) {
      next = null;
      await run();
    }
    looking = false;
  }

  /** Ends drawing; what was shown before comes back unless the stretch was chosen. */
  function end(chosen: boolean): void {
    drawing.value = false;
    next = null;
    if (!chosen && before) for (const [name, table] of before) put(name, { table });
    before = null;
  }

  watch(() => told.value.version, () => held.release());
  watch(() => state.value.slice, () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      if ((told.value.receipt?.row_count ?? Infinity) <= HELD_BY_ITSELF) void hold();
    }, QUIET_MS);
  });
  onScopeDispose(() => {
    window.clearTimeout(timer);
    held.release();
  });

  return { drawing, hold, preview, end };
}

export type LocalLooks = ReturnType<typeof useLocalLooks>;
