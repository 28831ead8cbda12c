/** Large families in short: of many children that are alike, one card says how many there are. */

import type { Graph, TraceEdge, TraceNode } from "./genealogy";

/** A lot with more children than this shows how many instead. */
export const MOST_SIBLINGS = 12;
const MARK = "fold:";

export interface Folded {
  graph: Graph;
  /** By card: the parent whose children it stands for, and which. */
  folds: Map<string, { parent: string; ids: string[] }>;
}

export const isFold = (id: string): boolean => id.startsWith(MARK);

/**
 * The graph with each large set of siblings as one card, unless its parent is in `expanded`.
 *
 * Only children that lead nowhere, have no other parent, were not asked for and are not in `kept` are folded; nothing else
 * of the family can then hang in the air.
 */
export function fold(graph: Graph, expanded: Set<string>, kept: Set<string> = new Set()): Folded {
  const parents = new Map<string, TraceEdge[]>();
  const leads = new Set<string>();
  for (const edge of graph.edges) {
    parents.set(edge.to, [...(parents.get(edge.to) ?? []), edge]);
    leads.add(edge.from);
  }
  const leaves = new Map<string, TraceEdge[]>();
  for (const [id, edges] of parents) {
    const [only] = edges;
    if (!only || edges.length > 1 || leads.has(id) || graph.nodes.get(id)?.seed || kept.has(id)) continue;
    leaves.set(only.from, [...(leaves.get(only.from) ?? []), only]);
  }
  const nodes = new Map<string, TraceNode>(graph.nodes);
  const folds = new Map<string, { parent: string; ids: string[] }>();
  const replaced = new Map<string, string>();
  for (const [parent, edges] of leaves) {
    if (edges.length <= MOST_SIBLINGS || expanded.has(parent)) continue;
    const id = MARK + parent;
    const ids = edges.map((edge) => edge.to);
    folds.set(id, { parent, ids });
    for (const child of ids) {
      nodes.delete(child);
      replaced.set(child, id);
    }
    nodes.set(id, { id, name: `+${ids.length}`, type: "", order: "", seed: false });
  }
  if (folds.size === 0) return { graph, folds };
  const edges = graph.edges.filter((edge) => !replaced.has(edge.to));
  for (const [id, { parent, ids }] of folds) {
    const kinds = new Set((leaves.get(parent) ?? []).filter((edge) => ids.includes(edge.to)).map((edge) => edge.kind));
    edges.push({ from: parent, to: id, kind: kinds.size === 1 ? [...kinds][0]! : "other" });
  }
  return { graph: { nodes, edges }, folds };
}

/** Parents whose large families are folded when nothing is expanded. */
export function foldable(graph: Graph): string[] {
  return [...fold(graph, new Set()).folds.values()].map((item) => item.parent);
}
