/** Where a menu stands beside what opened it. */

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Size {
  width: number;
  height: number;
}

const GAP = 4;

/**
 * The left upper corner of a menu so that all of it is in `room`: below its opener, else above, else beside it.
 *
 * A menu that is higher than the room begins at its top and scrolls.
 */
export function placed(opener: Box, menu: Size, room: Box): { left: number; top: number } {
  const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(value, most));
  const left = clamp(opener.left, room.left, room.right - menu.width);
  if (opener.bottom + GAP + menu.height <= room.bottom) return { left, top: Math.max(room.top, opener.bottom + GAP) };
  if (opener.top - GAP - menu.height >= room.top) return { left, top: Math.min(opener.top - GAP, room.bottom) - menu.height };
  const right = opener.right + GAP;
  return {
    left: right + menu.width <= room.right ? right : clamp(opener.left - GAP - menu.width, room.left, room.right),
    top: clamp(opener.top, room.top, Math.max(room.top, room.bottom - menu.height)),
  };
}
