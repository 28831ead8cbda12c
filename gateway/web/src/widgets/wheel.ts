/** What a turn of the wheel does to the stretch of an axis that is in sight. */

export interface Sight {
  /** Percent of the whole axis. */
  from: number;
  to: number;
}

const STEP = 1.25;
const LEAST = 2;

/** The stretch after one step of the wheel, narrower when it turns up; the point under the pointer (0 to 1) stays where it is. */
export function wheeled({ from, to }: Sight, pointer: number, delta: number): Sight {
  const width = Math.min(100, Math.max(LEAST, (to - from) * (delta < 0 ? 1 / STEP : STEP)));
  const share = Math.max(0, Math.min(1, pointer));
  const fixed = from + share * (to - from);
  const start = Math.max(0, Math.min(100 - width, fixed - share * width));
  return { from: start, to: start + width };
}
