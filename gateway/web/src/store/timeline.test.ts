import { describe, expect, it } from "vitest";

import type { Events } from "../api/types";
import { clusters, firstSpan, happenings, plantMs, plantText, wholeSpan, within, type Domain, type Happening } from "./timeline";

const NOW = plantMs("2026-01-01T08:00:00");

function events(domain: string, rows: Record<string, string | number | null>[]): Events {
  return { domain, columns: [], records_by_cid: { c1: rows }, failed_batches: [], warnings: [], receipt: {} as Events["receipt"] };
}

describe("happenings", () => {
  it("that have not ended reach to now", () => {
    const [hold] = happenings("holds", events("holds", [{ HOLDTXNDATE: "2025-12-31T07:08:17", RELEASETXNDATE: null, HOLDREASONNAME: "R" }]), new Map([["c1", "LOT"]]), NOW);
    expect([hold?.lane, hold?.open, hold?.to]).toEqual(["LOT", true, NOW]);
  });

  it("keep the plant's wall clock whatever the zone of who looks", () => {
    expect(plantText(plantMs("2025-12-31T07:08:17"))).toBe("2025-12-31 07:08");
  });
});

describe("the first view", () => {
  const DAY = 86_400_000;
  const at = (domain: Domain, day: number, days = 0): Happening => {
    const from = NOW + day * DAY;
    return { domain, lane: "LOT", start: "", end: null, from, to: from + days * DAY, instant: days === 0, open: false, what: "", qty: null };
  };
  const own = Array.from({ length: 50 }, (_, day) => at("history", day, 1));

  it("is not stretched by an old job of a machine", () => {
    const items = [at("jobs", -400, 3), ...own];
    const first = firstSpan(items)!;

    expect(items.filter((item) => !within(item, first))).toEqual([items[0]]);
    expect(within(items[0]!, wholeSpan(items)!)).toBe(true);
  });

  it("leaves out one event in a hundred that lies far from the others", () => {
    const items = [at("holds", -900), ...own, ...own.map((item) => ({ ...item }))];

    expect(items.filter((item) => !within(item, firstSpan(items)!))).toEqual([items[0]]);
  });

  it("is all of them where leaving some out would gain little, and where there are only jobs", () => {
    const near = [at("jobs", -10), ...own];
    const jobs = [at("jobs", -400), at("jobs", 0)];

    expect(firstSpan(near)).toEqual(wholeSpan(near));
    expect(firstSpan(jobs)).toEqual(wholeSpan(jobs));
    expect(firstSpan([])).toBeNull();
  });
});

describe("clusters", () => {
  it("add up to what they were made of", () => {
    const rows = Array.from({ length: 500 }, (_, at) => ({ TXN_TIME: `2025-12-${String(1 + (at % 28)).padStart(2, "0")}T${String(at % 24).padStart(2, "0")}:00:00`, REJECT_TOTAL_QTY: 1 }));
    const items = happenings("rejects", events("rejects", rows), new Map(), NOW);
    const marks = clusters(items, (ms) => (ms - items[0]!.from) / 3.6e6);
    expect(marks.reduce((sum, mark) => sum + mark.members.length, 0)).toBe(500);
    expect(marks.length).toBeLessThan(500);
  });

  it("leave apart what is far enough apart", () => {
    const items = happenings("rejects", events("rejects", [{ TXN_TIME: "2025-12-01T00:00:00" }, { TXN_TIME: "2025-12-02T00:00:00" }]), new Map(), NOW);
    expect(clusters(items, (ms) => (ms - items[0]!.from) / 3.6e6)).toHaveLength(2);
  });
});
