import { expect, test } from "vitest";

import { wheeled } from "./wheel";

const WHOLE = { from: 0, to: 100 };

test("the wheel narrows around the pointer", () => {
  expect(wheeled(WHOLE, 0.25, -100)).toEqual({ from: 5, to: 85 });
});

test("the wheel turned back widens, never beyond the axis", () => {
  expect(wheeled({ from: 5, to: 85 }, 0.25, 100)).toEqual(WHOLE);
  expect(wheeled(WHOLE, 0.9, 100)).toEqual(WHOLE);
});

test("something always stays in sight", () => {
  const near = Array.from({ length: 60 }).reduce<{ from: number; to: number }>((sight) => wheeled(sight, 1, -100), WHOLE);

  expect([near.from, near.to]).toEqual([98, 100]);
});
