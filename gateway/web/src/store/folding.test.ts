import { describe, expect, it } from "vitest";

import { fold, foldable, isFold, MOST_SIBLINGS } from "./folding";
import type { EdgeKind, Graph, TraceNode } from "./genealogy";

function family(edges: [string, string, EdgeKind?][], seeds: string[] = []): Graph {
  const nodes = new Map<string, TraceNode>();
  for (const id of edges.flatMap(([from, to]) => [from, to])) nodes.set(id, { id, name: id, type: "lot", order: "", seed: seeds.includes(id) });
  return { nodes, edges: edges.map(([from, to, kind]) => ({ from, to, kind: kind ?? "split" })) };
}

const children = (parent: string, count: number): [string, string][] => Array.from({ length: count }, (_, at) => [parent, `${parent}${at}`]);

describe("folding", () => {
  it("leaves families of a dozen as they are", () => {
    const graph = family(children("a", MOST_SIBLINGS));

    expect(fold(graph, new Set()).graph).toBe(graph);
  });

  it("puts one card for the children beyond, which knows them all", () => {
    const { graph, folds } = fold(family(children("a", 30)), new Set());

    expect([...graph.nodes.keys()]).toEqual(["a", "fold:a"]);
    expect(graph.nodes.get("fold:a")!.name).toBe("+30");
    expect(folds.get("fold:a")!.ids).toHaveLength(30);
    expect(graph.edges).toEqual([{ from: "a", to: "fold:a", kind: "split" }]);
  });

  it("keeps who was asked for, who has children, and who has another parent", () => {
    const graph = family([...children("a", 30), ["a3", "x"], ["b", "a4"]], ["a5"]);

    const { graph: folded, folds } = fold(graph, new Set());

    expect([...folded.nodes.keys()].filter((id) => !isFold(id)).sort()).toEqual(["a", "a3", "a4", "a5", "b", "x"]);
    expect(folds.get("fold:a")!.ids).toHaveLength(27);
  });

  it("keeps who is chosen", () => {
    expect([...fold(family(children("a", 30)), new Set(), new Set(["a7"])).graph.nodes.keys()]).toEqual(["a", "a7", "fold:a"]);
  });

  it("loses no edge whose two ends are shown", () => {
    const graph = family([...children("a", 20), ["r", "a"], ["a", "s", "merge"], ["s", "t"]]);

    const { graph: folded } = fold(graph, new Set());

    for (const edge of folded.edges) expect([folded.nodes.has(edge.from), folded.nodes.has(edge.to)]).toEqual([true, true]);
    expect(folded.edges).toContainEqual({ from: "s", to: "t", kind: "split" });
  });

  it("unfolds what was expanded and nothing else", () => {
    const graph = family([...children("a", 20), ...children("b", 20), ["r", "a"], ["r", "b"]]);

    expect(foldable(graph)).toEqual(["a", "b"]);
    expect([...fold(graph, new Set(["a"])).folds.keys()]).toEqual(["fold:b"]);
  });
});
