import { describe, expect, it } from "vitest";

import type { Dataset, PlannedChunk } from "../api/types";
import { coverage, daysAsked, questionOf } from "./coverage";

const DAYS = { first: "2025-03-01", last: "2025-03-10" };

function chunk(index: number, start: string, end: string | null, cached: boolean, part = "slice"): PlannedChunk {
  return { index, part, start: `${start}T07:30:00`, end: end && `${end}T07:30:00`, cached, reason: "" };
}

const PLAN = [chunk(0, "2025-02-20", "2025-03-03", true), chunk(1, "2025-03-03", "2025-03-08", false), chunk(2, "2025-03-08", "2025-03-10", true), chunk(3, "2025-02-28", null, false, "carry_in")];

const shown = (...given: Parameters<typeof coverage>): string[] => coverage(...given).map((run) => `${run.first.slice(8)}-${run.last.slice(8)} ${run.state} ${run.days}`);

describe("days of a dataset", () => {
  it("are in the cache or to be read as the plan has them, each named by the day it ends on", () => {
    expect(shown(DAYS, PLAN, [], [])).toEqual(["01-03 reused 3", "04-08 planned 5", "09-10 reused 2"]);
    expect(coverage(DAYS, PLAN, [], [])[1]!.chunks.map((item) => item.index)).toEqual([1]);
  });

  it("are being read where a query that runs wants them", () => {
    expect(shown(DAYS, PLAN, [{ first: "2025-03-01", last: "2025-03-05" }], [])).toEqual(["01-03 reused 3", "04-05 running 2", "06-08 planned 3", "09-10 reused 2"]);
    expect(shown(DAYS, PLAN, [{ first: "2024-01-01", last: "2024-12-31" }], [])).toEqual(shown(DAYS, PLAN, [], []));
  });

  it("failed where they were asked for and are not there yet", () => {
    const gap = { part: "slice", start: "2025-03-03T07:30:00", end: "2025-03-05T07:30:00", code: "WAREHOUSE_ERROR" };
    expect(shown(DAYS, PLAN, [], [gap, { ...gap, start: "2025-03-08T07:30:00", end: "2025-03-10T07:30:00" }])).toEqual(["01-03 reused 3", "04-05 failed 2", "06-08 planned 3", "09-10 reused 2"]);
    expect(coverage(DAYS, PLAN, [], [gap])[1]!.codes).toEqual(["WAREHOUSE_ERROR"]);
  });

  it("are none where nothing is cut by time", () => {
    expect(coverage(DAYS, [{ ...PLAN[0]!, start: null, end: null, id_count: 7 }], [], [])).toEqual([]);
  });
});

describe("the question about days", () => {
  const dates = { first_day: { type: "string", format: "date", "x-role": "start_date" }, last_day: { type: "string", format: "date", "x-role": "end_date" } };
  const dataset = (changes: Partial<Dataset>, required: string[] = [], more = {}): Dataset =>
    ({ name: "d", kind: "query", parameters: { properties: { ...dates, ...more }, required }, ...changes }) as unknown as Dataset;

  it("names them in the dataset's own words, and the mode that takes them", () => {
    expect(questionOf(dataset({}, ["first_day", "last_day"]), DAYS)).toEqual({ first_day: "2025-03-01", last_day: "2025-03-10" });
    const modes = [{ name: "ids", required: ["lots"], refused: [] }, { name: "days", required: ["first_day"], refused: [] }];
    expect(questionOf(dataset({ modes, modes_parameter: "mode" }), DAYS)).toEqual({ first_day: "2025-03-01", last_day: "2025-03-10", mode: "days" });
  });

  it("is none where more must be said", () => {
    expect(questionOf(dataset({}, ["lots"], { lots: { type: "array", items: { type: "string" } } }), DAYS)).toBeNull();
    expect(questionOf(dataset({ kind: "snapshot" }), DAYS)).toBeNull();
    expect(questionOf(dataset({ parameters: { properties: {} } }), DAYS)).toBeNull();
  });

  it("is found in the parameters of a query", () => {
    expect(daysAsked(dataset({}), { first_day: "2025-03-01", last_day: "2025-03-02" })).toEqual({ first: "2025-03-01", last: "2025-03-02" });
    expect(daysAsked(dataset({}), { mode: "ids" })).toBeNull();
  });
});
