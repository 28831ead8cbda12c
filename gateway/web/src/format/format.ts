/** Numbers and times as text. Times of the plant have no zone and are never turned into a Date. */

import type { Cell } from "../api/types";

export function isNumeric(type: string): boolean {
  return /^(u?int|double|float|decimal)/.test(type);
}

export function isDate(type: string): boolean {
  return type.startsWith("date");
}

export function isTimestamp(type: string): boolean {
  return type.startsWith("timestamp");
}

const formatters = new Map<string, Intl.NumberFormat>();

function formatter(language: string, least: number, most: number): Intl.NumberFormat {
  const key = `${language}/${least}/${most}`;
  let found = formatters.get(key);
  if (!found) {
    found = new Intl.NumberFormat(language, { minimumFractionDigits: least, maximumFractionDigits: most });
    formatters.set(key, found);
  }
  return found;
}

/** A number with grouping; whole numbers stay whole, others have at most two decimals unless `scale` says. */
export function number(value: number, language: string, scale?: number): string {
  if (scale !== undefined) return formatter(language, scale, scale).format(value);
  return formatter(language, 0, 2).format(value);
}

/** A value of a column as people read it; a missing one is a dash. */
export function cell(value: Cell | undefined, type: string, language: string, scale?: number): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") {
    const fractional = /^(double|float|decimal)/.test(type);
    return fractional ? formatter(language, scale ?? 2, scale ?? 2).format(value) : number(value, language, scale);
  }
  if (typeof value === "boolean") return value ? "✓" : "–";
  return isTimestamp(type) ? plantTime(value) : value;
}

/** `2025-12-31T07:08:17` as `2025-12-31 07:08`; seconds only where they are asked for. */
export function plantTime(value: string, withSeconds = false): string {
  const text = value.replace("T", " ");
  return withSeconds ? text.slice(0, 19) : text.slice(0, 16);
}

const two = (value: number): string => String(value).padStart(2, "0");

/** One of Sluice's own instants, which are in UTC, on the wall clock of who looks. */
export function clockTime(iso: string): string {
  const time = new Date(iso);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** `75` as `1:15`, `3700` as `1:01:40`. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** The calendar day so many days after `day`, both as `YYYY-MM-DD`. */
export function addDays(day: string, days: number): string {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1, date + days)).toISOString().slice(0, 10);
}

/** How many days from `start` to `end`, both included. */
export function dayCount(start: string, end: string): number {
  const at = (day: string): number => Date.parse(`${day}T00:00:00Z`);
  return Math.round((at(end) - at(start)) / 86_400_000) + 1;
}

export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 10) === text;
}
