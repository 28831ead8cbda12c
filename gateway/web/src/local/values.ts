/** Values as they are computed with: days as days since 1970, instants as microseconds, whole numbers that are exact. */

import { Refusal, type Kind, type Value } from "./sql";

const DAY_MS = 86_400_000;
const MICROS = 1000;

/** Texts in the order of their code points, as the server has them, not of UTF-16. */
export function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  const most = Math.min(one.length, other.length);
  for (let at = 0; at < most; at += 1) {
    const a = one.charCodeAt(at);
    const b = other.charCodeAt(at);
    if (a === b) continue;
    // Halves of astral letters sort above every other letter.
    const high = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
    return high(a) - high(b);
  }
  return one.length - other.length;
}

export function compareValues(one: Value, other: Value): number {
  if (typeof one === "string" && typeof other === "string") return compareTexts(one, other);
  const a = Number(one);
  const b = Number(other);
  if (Number.isNaN(a) || Number.isNaN(b)) throw new Refusal("an order of what has none");
  return a < b ? -1 : a > b ? 1 : 0;
}

export function parseDay(text: string): number {
  const ms = Date.parse(`${text.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(ms)) throw new Refusal(`${text} as a day`);
  return Math.round(ms / DAY_MS);
}

export function parseInstant(text: string): number {
  const ms = Date.parse(`${text.length === 10 ? `${text}T00:00:00` : text.replace(" ", "T")}Z`);
  if (Number.isNaN(ms)) throw new Refusal(`${text} as an instant`);
  return ms * MICROS;
}

export const microsOfDay = (day: number): number => day * DAY_MS * MICROS;
export const dayOfMicros = (micros: number): number => Math.floor(micros / (DAY_MS * MICROS));
const dateOf = (kind: Kind, value: number): Date => new Date(kind === "date" ? value * DAY_MS : Math.floor(value / MICROS));

export const dayText = (day: number): string => dateOf("date", day).toISOString().slice(0, 10);
/** To the second, as the gateway writes instants. */
export const instantText = (micros: number): string => dateOf("time", micros).toISOString().slice(0, 19);

/** The start of the day, week (its Monday), month, quarter or year. */
export function truncated(unit: string, kind: Kind, value: number): number {
  const date = dateOf(kind, value);
  const day = kind === "date" ? value : dayOfMicros(value);
  const first = (month: number): number => Math.round(Date.UTC(date.getUTCFullYear(), month, 1) / DAY_MS);
  let found: number;
  if (unit === "day") found = day;
  else if (unit === "week") found = day - ((((day + 3) % 7) + 7) % 7);
  else if (unit === "month") found = first(date.getUTCMonth());
  else if (unit === "quarter") found = first(date.getUTCMonth() - (date.getUTCMonth() % 3));
  else if (unit === "year") found = first(0);
  else throw new Refusal(`date_trunc('${unit}')`);
  return kind === "date" ? found : microsOfDay(found);
}

export function formatted(format: string, kind: Kind, value: number): string {
  const date = dateOf(kind, value);
  const two = (number: number): string => String(number).padStart(2, "0");
  const parts: Record<string, string> = {
    Y: String(date.getUTCFullYear()), m: two(date.getUTCMonth() + 1), d: two(date.getUTCDate()), H: two(date.getUTCHours()),
    M: two(date.getUTCMinutes()), S: two(date.getUTCSeconds()), "%": "%",
  };
  return format.replace(/%(.)/g, (_, letter: string) => {
    const part = parts[letter];
    if (part === undefined) throw new Refusal(`%${letter} in a format`);
    return part;
  });
}

/** A whole number that a browser holds exactly; where it cannot, the server computes. */
export function exact(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Refusal("a number above 2^53");
  return value;
}

/** Half away from zero, as the server rounds. */
export function rounded(value: number, digits: number): number {
  const factor = 10 ** digits;
  const scaled = Math.abs(value) * factor;
  return (Math.sign(value) * Math.floor(scaled + 0.5)) / factor;
}

export function casted(to: Kind, from: Kind, value: Value): Value {
  if (value === null || to === from) return value;
  switch (to) {
    case "int":
      // Half to even, as the server casts.
      return typeof value === "number" ? exact(halfEven(value)) : typeof value === "boolean" ? Number(value) : refuse(to, from);
    case "double":
      return typeof value === "number" ? value : refuse(to, from);
    case "text":
      if (from === "date") return dayText(value as number);
      return from === "int" || from === "text" ? String(value) : refuse(to, from);
    case "date":
      if (from === "time") return dayOfMicros(value as number);
      return typeof value === "string" ? parseDay(value) : refuse(to, from);
    case "time":
      if (from === "date") return microsOfDay(value as number);
      return typeof value === "string" ? parseInstant(value) : refuse(to, from);
    default:
      return refuse(to, from);
  }
}

function halfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function refuse(to: Kind, from: Kind): never {
  throw new Refusal(`${from} as ${to}`);
}
