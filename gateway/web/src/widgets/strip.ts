/** Chunks as the strip draws them: one cell each, or bins that show the worst of their chunks. */

import type { ChunkProgress, PlannedChunk, TimeOrIds } from "../api/types";

export type CellState = "planned" | "reused" | "done" | "running" | "queued" | "failed" | "truncated" | "cancelled";

export interface StripCell {
  state: CellState;
  chunks: (TimeOrIds & { index: number })[];
  rows: number;
  code: string | null;
}

export const GLYPH: Record<CellState, string> = {
  planned: "·", reused: "≡", done: "✓", running: "»", queued: "", failed: "✕", truncated: "▼", cancelled: "–",
};

const SEVERITY: CellState[] = ["reused", "done", "planned", "queued", "cancelled", "running", "truncated", "failed"];
export const MOST_CELLS = 60;

export function ofPlan(chunks: PlannedChunk[]): StripCell[] {
  return binned(chunks.map((chunk) => ({ state: chunk.cached ? "reused" : "planned", chunks: [chunk], rows: 0, code: null })));
}

export function ofProgress(chunks: ChunkProgress[]): StripCell[] {
  return binned(
    chunks.map((chunk) => ({
      state: chunk.state in GLYPH ? (chunk.state as CellState) : "queued", chunks: [chunk], rows: chunk.row_count, code: chunk.code,
    })),
  );
}

export function count(state: CellState, chunks: { state?: string; cached?: boolean }[]): number {
  if (state === "planned") return chunks.filter((chunk) => chunk.cached === false).length;
  if (state === "reused" && chunks.some((chunk) => "cached" in chunk)) return chunks.filter((chunk) => chunk.cached).length;
  return chunks.filter((chunk) => chunk.state === state).length;
}

function binned(cells: StripCell[]): StripCell[] {
  if (cells.length <= MOST_CELLS) return cells;
  const size = Math.ceil(cells.length / MOST_CELLS);
  const bins: StripCell[] = [];
  for (let at = 0; at < cells.length; at += size) {
    const members = cells.slice(at, at + size);
    const worst = members.reduce((a, b) => (SEVERITY.indexOf(b.state) > SEVERITY.indexOf(a.state) ? b : a));
    bins.push({
      state: worst.state, code: worst.code,
      chunks: members.flatMap((member) => member.chunks),
      rows: members.reduce((sum, member) => sum + member.rows, 0),
    });
  }
  return bins;
}

/** `2025-01-01 07:30 – 2025-02-01 07:30`, or how many ids. */
export function rangeText(chunk: TimeOrIds, ids: (n: number) => string): string {
  if (chunk.id_count) return ids(chunk.id_count);
  const short = (text: string | null | undefined): string => (text ? text.slice(0, 16).replace("T", " ") : "");
  return chunk.end ? `${short(chunk.start)} – ${short(chunk.end)}` : `${chunk.part} ${short(chunk.start)}`.trim();
}
