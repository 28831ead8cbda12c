/** A genealogy as a drawing: generations from left to right, a forest of rows, merges laid over it. */

import { hierarchy, tree } from "d3-hierarchy";

import type { Descendants, Genealogy, GenealogyEdge } from "../api/types";

export interface TraceNode {
  id: string;
  name: string;
  type: string;
  order: string;
  seed: boolean;
}

export type EdgeKind = "split" | "merge" | "rework" | "origin" | "other";

export interface TraceEdge {
  from: string;
  to: string;
  kind: EdgeKind;
}

export interface Graph {
  nodes: Map<string, TraceNode>;
  edges: TraceEdge[];
}

export interface Placed extends TraceNode {
  generation: number;
  /** Row, in units of a card's height; fractions where a parent stands between its children. */
  row: number;
}

export interface Layout {
  placed: Map<string, Placed>;
  /** Edges against the flow: the records have a loop. */
  loops: Set<TraceEdge>;
  generations: number;
  rows: number;
}

export function kindOfEdge(type: string): EdgeKind {
  if (type.includes("split")) return "split";
  if (type.includes("merge") || type.includes("combine")) return "merge";
  if (type.includes("rework") || type.startsWith("gd")) return "rework";
  if (type.includes("origin") || type.includes("wafer")) return "origin";
  return "other";
}

/** Ancestors and descendants in one graph; an edge that both name is one edge. */
export function join(seeds: string[], up: Genealogy | null, down: Descendants | null): Graph {
  const nodes = new Map<string, TraceNode>();
  const wanted = new Set(seeds);
  const add = (id: string, name: string | null | undefined): void => {
    const said = up?.nodes[id];
    const known = nodes.get(id);
    if (known && !(known.name === id && name)) return;
    nodes.set(id, { id, name: name ?? said?.container_name ?? id, type: said?.node_type ?? "", order: said?.mfgorder_name ?? "", seed: wanted.has(id) });
  };
  for (const [id, node] of Object.entries(up?.nodes ?? {})) add(id, node.container_name ?? up?.cid_to_name[id]);
  const edges = new Map<string, TraceEdge>();
  const link = (edge: GenealogyEdge): void => {
    if (edge.from_cid === edge.to_cid) return;
    const key = `${edge.from_cid} ${edge.to_cid}`;
    if (!edges.has(key)) edges.set(key, { from: edge.from_cid, to: edge.to_cid, kind: kindOfEdge(edge.edge_type) });
    add(edge.from_cid, up?.cid_to_name[edge.from_cid] ?? down?.container_names[edge.from_cid]);
    add(edge.to_cid, up?.cid_to_name[edge.to_cid] ?? down?.container_names[edge.to_cid]);
  };
  for (const edge of up?.edges ?? []) link(edge);
  for (const [parent, children] of Object.entries(down?.children_map ?? {})) {
    for (const child of children) link({ from_cid: parent, to_cid: child, edge_type: "split" });
  }
  for (const id of seeds) add(id, up?.cid_to_name[id] ?? down?.container_names[id]);
  return { nodes, edges: [...edges.values()] };
}

/** What is reached from `start` along the edges, `start` included. */
export function reached(graph: Graph, start: Iterable<string>, direction: "up" | "down"): Set<string> {
  const next = new Map<string, string[]>();
  for (const edge of graph.edges) {
    const [from, to] = direction === "up" ? [edge.to, edge.from] : [edge.from, edge.to];
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const seen = new Set(start);
  const queue = [...seen];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const other of next.get(id) ?? []) {
      if (!seen.has(other)) {
        seen.add(other);
        queue.push(other);
      }
    }
  }
  return seen;
}

/** A container that several descend from. */
export interface Shared {
  id: string;
  /** How many of those that were asked about descend from it. */
  count: number;
}

/** Containers that every one of these descends from; without any those that most do, at least two, the most shared first. */
export function sharedAncestors(graph: Graph, ids: string[]): Shared[] {
  const counts = new Map<string, number>();
  for (const id of ids) {
    for (const above of reached(graph, [id], "up")) if (above !== id) counts.set(above, (counts.get(above) ?? 0) + 1);
  }
  const shared = [...counts].map(([id, count]) => ({ id, count })).filter(({ count }) => count > 1).sort((a, b) => b.count - a.count);
  const byAll = shared.filter(({ count }) => count === ids.length);
  return byAll.length ? byAll : shared;
}

/** Places each node: its generation is the longest way to it, its row that of a tidy tree over first parents. */
export function layout(graph: Graph): Layout {
  const children = new Map<string, TraceEdge[]>();
  const indegree = new Map<string, number>([...graph.nodes.keys()].map((id) => [id, 0]));
  for (const edge of graph.edges) {
    children.set(edge.from, [...(children.get(edge.from) ?? []), edge]);
    indegree.set(edge.to, (indegree.get(edge.to) ?? 0) + 1);
  }
  const generation = new Map<string, number>();
  const loops = new Set<TraceEdge>();
  const queue = [...graph.nodes.keys()].filter((id) => indegree.get(id) === 0);
  const waiting = new Set(graph.nodes.keys());
  const order: string[] = [];
  while (waiting.size > 0) {
    // Only a loop leaves nodes without a way in; the first of them is taken as its start.
    const id = queue.shift() ?? [...waiting][0]!;
    if (!waiting.delete(id)) continue;
    order.push(id);
    const own = generation.get(id) ?? 0;
    generation.set(id, own);
    for (const edge of children.get(id) ?? []) {
      if (!waiting.has(edge.to)) {
        loops.add(edge);
        continue;
      }
      generation.set(edge.to, Math.max(generation.get(edge.to) ?? 0, own + 1));
      indegree.set(edge.to, (indegree.get(edge.to) ?? 1) - 1);
      if (indegree.get(edge.to) === 0) queue.push(edge.to);
    }
  }
  const parent = new Map<string, string>();
  for (const edge of graph.edges) {
    if (loops.has(edge) || (generation.get(edge.from) ?? 0) >= (generation.get(edge.to) ?? 0)) continue;
    const held = parent.get(edge.to);
    if (!held || (generation.get(edge.from) ?? 0) > (generation.get(held) ?? 0)) parent.set(edge.to, edge.from);
  }
  interface Item { id: string; children: Item[] }
  const items = new Map<string, Item>(order.map((id) => [id, { id, children: [] }]));
  const root: Item = { id: "", children: [] };
  for (const id of order) (items.get(parent.get(id) ?? "") ?? root).children.push(items.get(id)!);
  const drawn = tree<Item>().nodeSize([1, 1]).separation(() => 1)(hierarchy(root));
  const rows = new Map<string, number>();
  let least = Infinity;
  let most = -Infinity;
  drawn.each((node) => {
    if (!node.data.id) return;
    rows.set(node.data.id, node.x);
    least = Math.min(least, node.x);
    most = Math.max(most, node.x);
  });
  const placed = new Map<string, Placed>();
  let deepest = 0;
  for (const id of order) {
    const at = generation.get(id) ?? 0;
    deepest = Math.max(deepest, at);
    placed.set(id, { ...graph.nodes.get(id)!, generation: at, row: (rows.get(id) ?? 0) - least });
  }
  spread(placed);
  const lowest = Math.max(0, ...[...placed.values()].map((node) => node.row));
  return { placed, loops, generations: placed.size ? deepest + 1 : 0, rows: placed.size ? lowest + 1 : 0 };
}

/** Nodes of one generation that came to lie on each other, because generations are not the tree's depths, move apart. */
function spread(placed: Map<string, Placed>): void {
  const columns = new Map<number, Placed[]>();
  for (const node of placed.values()) columns.set(node.generation, [...(columns.get(node.generation) ?? []), node]);
  for (const column of columns.values()) {
    column.sort((a, b) => a.row - b.row);
    for (let at = 1; at < column.length; at += 1) column[at]!.row = Math.max(column[at]!.row, column[at - 1]!.row + 1);
  }
}
