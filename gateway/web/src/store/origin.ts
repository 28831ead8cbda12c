/** Where the lots of a page come from, as its address says it: which rows had them, how many were taken, in which order. */

/** The address's field. */
export const ORIGIN = "of";

export interface Sort {
  key: string;
  descending: boolean;
}

export interface Origin {
  dataset: string;
  taken: number;
  total: number;
  /** Whether there are more lots than the total, which nobody counted. */
  more: boolean;
  sort: Sort;
}

const SHAPE = /^([a-z0-9-]+),(\d+),(\d+)(\+?),(\w+),(asc|desc)$/;

export function encodeOrigin({ dataset, taken, total, more, sort }: Origin): string {
  return [dataset, taken, `${total}${more ? "+" : ""}`, sort.key, sort.descending ? "desc" : "asc"].join(",");
}

/** The origin that a text means; null when it means none. */
export function decodeOrigin(text: unknown): Origin | null {
  const parts = typeof text === "string" ? SHAPE.exec(text) : null;
  if (!parts) return null;
  const [, dataset = "", taken, total, more, key = "", order] = parts;
  return { dataset, taken: Number(taken), total: Number(total), more: more === "+", sort: { key, descending: order === "desc" } };
}
