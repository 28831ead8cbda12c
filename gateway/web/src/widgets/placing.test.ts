import { expect, test } from "vitest";

import { placed, type Box } from "./placing";

const room: Box = { left: 8, top: 52, right: 1358, bottom: 760 };
const opener = (left: number, top: number): Box => ({ left, top, right: left + 60, bottom: top + 24 });
const menu = { width: 340, height: 320 };

test("a menu hangs below what opened it where it fits", () => {
  expect(placed(opener(400, 100), menu, room)).toEqual({ left: 400, top: 128 });
});

test("a menu stands above what opened it near the lower edge", () => {
  expect(placed(opener(400, 700), menu, room)).toEqual({ left: 400, top: 376 });
});

test("a menu near the right edge moves to the left", () => {
  expect(placed(opener(1290, 100), menu, room).left).toBe(1018);
});

test("a menu that fits neither above nor below stands beside, whole", () => {
  const high = { width: 340, height: 500 };

  expect(placed(opener(400, 400), high, room)).toEqual({ left: 464, top: 260 });
  expect(placed(opener(1200, 400), high, room)).toEqual({ left: 856, top: 260 });
});

test("a menu that is higher than the room begins at its top", () => {
  expect(placed(opener(400, 400), { width: 340, height: 900 }, room).top).toBe(52);
});
