import { describe, expect, it } from "vitest";

import { addDays, bytes, cell, countdown, dayCount, isDay, plantTime } from "./format";

describe("values", () => {
  it("of a day are printed as they are, never through a zone", () => {
    expect(cell("2025-03-09", "date32[day]", "en")).toBe("2025-03-09");
    expect(plantTime("2025-03-09T02:30:00")).toBe("2025-03-09 02:30");
  });

  it("have no float noise and no compact words", () => {
    expect(cell(0.1 + 0.2, "double", "en")).toBe("0.30");
    expect(cell(12_345_678, "int64", "zh-TW")).toBe("12,345,678");
  });

  it("that are missing are a dash", () => {
    expect(cell(null, "string", "en")).toBe("–");
  });
});

describe("days", () => {
  it("are counted with both ends, over a leap day and a year's end", () => {
    expect([dayCount("2024-02-28", "2024-03-01"), addDays("2025-12-31", 1), dayCount("2025-01-01", "2025-12-31")]).toEqual([3, "2026-01-01", 365]);
  });

  it("that do not exist are no days", () => {
    expect([isDay("2025-02-30"), isDay("2025-13-01"), isDay("2024-02-29")]).toEqual([false, false, true]);
  });
});

it("writes sizes and countdowns in units of people", () => {
  expect([bytes(2 ** 31), bytes(1536), countdown(75), countdown(3700)]).toEqual(["2.0 GiB", "1.5 KiB", "1:15", "1:01:40"]);
});
