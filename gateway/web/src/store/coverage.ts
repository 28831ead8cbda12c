/** Which days of a dataset are in the cache, being read, or failed when they were last asked for here. */

import type { Dataset, Gap, JsonObject, PlannedChunk } from "../api/types";
import { addDays, dayCount } from "../format/format";
import { otherParameters, rangeRoles } from "./definition";

export type DayState = "reused" | "planned" | "running" | "failed";

/** Days that follow each other and are in one state. */
export interface DayRun {
  state: DayState;
  first: string;
  last: string;
  days: number;
  chunks: PlannedChunk[];
  /** Why days of it could not be read. */
  codes: string[];
}

export interface Days { first: string; last: string }

const DAY_MS = 86_400_000;
const msOf = (instant: string): number => Date.parse(`${instant.slice(0, 19)}Z`);

/** What asks a dataset about days and nothing else; null where it wants to know more, or no days. */
export function questionOf(dataset: Dataset, days: Days): JsonObject | null {
  const roles = rangeRoles(dataset);
  if (!roles || dataset.kind === "snapshot") return null;
  const mode = dataset.modes?.find((item) => item.required.includes(roles.start)) ?? null;
  if (dataset.modes?.length && !mode) return null;
  const own = new Set([roles.start, roles.end, dataset.modes_parameter ?? ""]);
  const wanted = [...(dataset.parameters.required ?? []), ...(mode?.required ?? [])].filter((name) => !own.has(name));
  if (wanted.some((name) => otherParameters(dataset).find((item) => item.name === name)?.initial === undefined)) return null;
  return { [roles.start]: days.first, [roles.end]: days.last, ...(mode && dataset.modes_parameter ? { [dataset.modes_parameter]: mode.name } : {}) };
}

/** The days that a query's parameters name; null where they name none. */
export function daysAsked(dataset: Dataset, parameters: JsonObject): Days | null {
  const roles = rangeRoles(dataset);
  const [first, last] = [roles && parameters[roles.start], roles && parameters[roles.end]];
  return typeof first === "string" && typeof last === "string" ? { first: first.slice(0, 10), last: last.slice(0, 10) } : null;
}

/**
 * Runs of days, oldest first; none where the plan has no chunk of days.
 *
 * A plan ends with the last day that was asked for, at whatever hour the dataset's days begin.
 */
export function coverage(days: Days, chunks: PlannedChunk[], running: Days[], gaps: Gap[]): DayRun[] {
  const timed = chunks.filter((chunk) => chunk.start && chunk.end);
  if (timed.length === 0) return [];
  const count = dayCount(days.first, days.last);
  // Chunks may begin before the days that were asked for; the last of the part that comes first ends with the last day.
  const ends = timed.filter((chunk) => chunk.part === timed[0]!.part).map((chunk) => msOf(chunk.end!));
  const begin = Math.max(...ends) - count * DAY_MS;
  const places = (start: string, end: string): [number, number] => [Math.floor((msOf(start) - begin) / DAY_MS), Math.ceil((msOf(end) - begin) / DAY_MS)];
  const states = new Array<DayState>(count).fill("reused");
  const codes = Array.from({ length: count }, () => new Set<string>());
  const over = (from: number, to: number, change: (at: number) => void): void => {
    for (let at = Math.max(0, from); at < Math.min(count, to); at += 1) change(at);
  };
  for (const chunk of timed) if (!chunk.cached) over(...places(chunk.start!, chunk.end!), (at) => { states[at] = "planned"; });
  for (const gap of gaps) {
    if (!gap.start || !gap.end) continue;
    over(...places(gap.start, gap.end), (at) => {
      if (states[at] !== "planned" && states[at] !== "failed") return;
      states[at] = "failed";
      codes[at]!.add(gap.code);
    });
  }
  for (const asked of running) {
    over(dayCount(days.first, asked.first) - 1, dayCount(days.first, asked.last), (at) => { if (states[at] !== "reused") states[at] = "running"; });
  }
  const runs: DayRun[] = [];
  for (let at = 0; at < count; at += 1) {
    const day = addDays(days.first, at);
    let run = runs[runs.length - 1];
    if (run?.state !== states[at]) runs.push((run = { state: states[at]!, first: day, last: day, days: 0, chunks: [], codes: [] }));
    run!.last = day;
    run!.days += 1;
    run!.codes = [...new Set([...run!.codes, ...codes[at]!])];
    for (const chunk of timed) {
      const [from, to] = places(chunk.start!, chunk.end!);
      if (from <= at && at < to && !run!.chunks.includes(chunk)) run!.chunks.push(chunk);
    }
  }
  return runs;
}
