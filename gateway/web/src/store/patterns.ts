/** A pattern filter as the fields that make its value: days and words between fixed text. */

import type { Control } from "./definition";

export type Part = { kind: "fixed"; text: string } | { kind: "day"; name: string } | { kind: "word"; name: string; words: string[] };

const GROUP = /^\(\?<(\w+)>((?:[^()\\]|\\.)*)\)/;
const DAY = "\\d{4}-\\d{2}-\\d{2}";

/** The parts of a filter's value in their order; null where it has any that are neither a day nor a choice of words. */
export function partsOf(control: Control): Part[] | null {
  let rest = (control.schema.pattern ?? "").replace(/^\^\(\?:(.*)\)\$$/s, "$1");
  const parts: Part[] = [];
  while (rest.length > 0) {
    const [whole, name = "", body = ""] = GROUP.exec(rest) ?? [];
    if (whole !== undefined) {
      if (body !== DAY && !/^\w+(\|\w+)*$/.test(body)) return null;
      parts.push(body === DAY ? { kind: "day", name } : { kind: "word", name, words: body.split("|") });
      rest = rest.slice(whole.length);
      continue;
    }
    const escaped = rest.startsWith("\\");
    if (!escaped && /[()[\]{}.*+?|^$]/.test(rest[0]!)) return null;
    const last = parts[parts.length - 1];
    const text = escaped ? (rest[1] ?? "") : rest[0]!;
    if (last?.kind === "fixed") last.text += text;
    else parts.push({ kind: "fixed", text });
    rest = rest.slice(escaped ? 2 : 1);
  }
  return parts.some((part) => part.kind !== "fixed") ? parts : null;
}

/** The value that the fields make; null while one of them is empty or the days are in the wrong order. */
export function composed(control: Control, fields: Record<string, string>): string | null {
  const parts = partsOf(control) ?? [];
  const days = parts.flatMap((part) => (part.kind === "day" ? [fields[part.name] ?? ""] : []));
  if (days.some((day, at) => at > 0 && day < days[at - 1]!)) return null;
  const value = parts.map((part) => (part.kind === "fixed" ? part.text : (fields[part.name] ?? ""))).join("");
  return new RegExp(control.schema.pattern ?? "").test(value) ? value : null;
}

/** The fields of a value; empty days and the first words where there is none. */
export function fieldsOf(control: Control, value: string | null | undefined): Record<string, string> {
  const groups = new RegExp(control.schema.pattern ?? "").exec(value ?? "")?.groups ?? {};
  return Object.fromEntries((partsOf(control) ?? []).flatMap((part) => {
    if (part.kind === "fixed") return [];
    return [[part.name, groups[part.name] ?? (part.kind === "word" ? part.words[0]! : "")]];
  }));
}
