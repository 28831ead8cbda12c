/** The keyboard map. Single letters are for pages only: inside fields they are letters, and they can be switched off. */

import { shallowRef } from "vue";

import { singleKeys } from "./stored";

/** What the open page does with `run`, `undo`, `refresh`, `export`, `copy`; false when it does nothing with it. */
export const keyTarget = shallowRef<((action: string) => boolean) | null>(null);

const SINGLE: Record<string, string> = { "/": "search", "?": "help", r: "refresh", e: "export", c: "copy" };
const AFTER_G: Record<string, string> = { e: "go:home", t: "go:trace", l: "go:timeline", s: "go:saved", o: "go:ops" };
const SEQUENCE_MS = 1500;

let lastG = 0;

function inField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function pressed(event: KeyboardEvent): string | null {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return "run";
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return null;
  if (event.key === "Escape" && !inField(event.target)) return "undo";
  if (!singleKeys.value || event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return null;
  const now = Date.now();
  if (now - lastG < SEQUENCE_MS) {
    lastG = 0;
    return AFTER_G[event.key] ?? null;
  }
  if (event.key === "g") {
    lastG = now;
    return null;
  }
  return SINGLE[event.key] ?? null;
}
