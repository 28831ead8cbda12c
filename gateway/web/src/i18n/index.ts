/** Texts of the page in its two languages; keys are checked by the compiler, plurals come from Intl. */

import { computed, ref, shallowReactive } from "vue";

import en from "./en.json";

export type Language = "en" | "zh-TW";
export type Key = keyof typeof en;
type Texts = Record<Key, string>;

/** English is part of the page; of other languages the one that is chosen is loaded. */
const texts = shallowReactive<Partial<Record<Language, Texts>>>({ en });
const STORED = "sluice.language";

function initial(): Language {
  try {
    const stored = localStorage.getItem(STORED);
    if (stored === "en" || stored === "zh-TW") return stored;
  } catch {
    // A browser that keeps nothing still has a language.
  }
  return navigator.language.toLowerCase().startsWith("zh") ? "zh-TW" : "en";
}

export const language = ref<Language>(initial());
const plurals = computed(() => new Intl.PluralRules(language.value));

/** Has the texts of the language here; without them, where they cannot be loaded, the page is in English. */
export async function loadTexts(chosen: Language = language.value): Promise<void> {
  if (texts[chosen]) return;
  try {
    texts[chosen] = (await import("./zh-TW.json")).default satisfies Texts;
  } catch {
    // The next choice tries again.
  }
}

export async function setLanguage(chosen: Language): Promise<void> {
  await loadTexts(chosen);
  language.value = chosen;
  document.documentElement.lang = chosen === "zh-TW" ? "zh-Hant-TW" : "en";
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // The choice then lasts as long as the page.
  }
}

/** The text of a key; `{name}` is replaced, and `one|other` picks the form for `n`. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  let text = (texts[language.value] ?? en)[key];
  if ("n" in values && text.includes("|")) {
    const [one = "", other = ""] = text.split("|");
    const n = Number(String(values["n"]).replace(/[^\d.-]/g, ""));
    text = plurals.value.select(n) === "one" ? one : other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

export function hasKey(key: string): key is Key {
  return key in en;
}
