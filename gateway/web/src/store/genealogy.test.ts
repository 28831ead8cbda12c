import { describe, expect, it } from "vitest";

import { kindOfEdge, layout, reached, sharedAncestors, type Graph, type TraceEdge } from "./genealogy";

function graph(edges: [string, string][]): Graph {
  const ids = [...new Set(edges.flat())];
  return {
    nodes: new Map(ids.map((id) => [id, { id, name: id, type: "", order: "", seed: false }])),
    edges: edges.map(([from, to]): TraceEdge => ({ from, to, kind: "split" })),
  };
}

/** A forest with merges: each node from the tenth on has one parent before it, every seventh two. */
function plant(size: number): Graph {
  const edges: [string, string][] = [];
  for (let at = 10; at < size; at += 1) {
    edges.push([`n${(at * 7919) % at}`, `n${at}`]);
    if (at % 7 === 0) edges.push([`n${(at * 104729) % at}`, `n${at}`]);
  }
  return graph(edges.filter(([from, to]) => from !== to));
}

describe("a layout", () => {
  it("puts every parent to the left of its children", () => {
    const made = plant(600);
    const { placed, loops } = layout(made);
    const wrong = made.edges.filter((edge) => !loops.has(edge) && placed.get(edge.from)!.generation >= placed.get(edge.to)!.generation);
    expect([wrong, loops.size]).toEqual([[], 0]);
  });

  it("puts no two nodes on each other", () => {
    const { placed } = layout(plant(600));
    const columns = new Map<number, number[]>();
    for (const node of placed.values()) columns.set(node.generation, [...(columns.get(node.generation) ?? []), node.row]);
    const closest = [...columns.values()].flatMap((rows) => rows.sort((a, b) => a - b).slice(1).map((row, at) => row - rows[at]!));
    expect(Math.min(...closest)).toBeGreaterThanOrEqual(0.999);
  });

  it("names the edge that closes a loop and still places everything", () => {
    const made = graph([["a", "b"], ["b", "c"], ["c", "a"]]);
    const { placed, loops } = layout(made);
    expect([placed.size, [...loops].map((edge) => [edge.from, edge.to])]).toEqual([3, [["c", "a"]]]);
  });
});

describe("walks", () => {
  it("find what is above and below", () => {
    const made = graph([["a", "b"], ["b", "c"], ["x", "c"]]);
    expect([...reached(made, ["c"], "up")].sort()).toEqual(["a", "b", "c", "x"]);
    expect([...reached(made, ["a"], "down")].sort()).toEqual(["a", "b", "c"]);
  });

  it("find the ancestors that all have in common", () => {
    const made = graph([["root", "left"], ["root", "right"], ["left", "one"], ["right", "two"], ["other", "two"]]);
    expect(sharedAncestors(made, ["one", "two"])).toEqual([{ id: "root", count: 2 }]);
  });

  it("find the ancestors that most have in common where no one is shared by all", () => {
    const made = graph([["w", "one"], ["w", "two"], ["w", "three"], ["v", "three"], ["v", "four"], ["lone", "four"]]);
    expect(sharedAncestors(made, ["one", "two", "three", "four"])).toEqual([{ id: "w", count: 3 }, { id: "v", count: 2 }]);
    expect(sharedAncestors(made, ["one", "four"])).toEqual([]);
  });
});

it("tells edges apart by kind", () => {
  expect(["split_from", "merge_source", "wafer_origin", "gd_rework_source"].map(kindOfEdge)).toEqual(["split", "merge", "origin", "rework"]);
});
