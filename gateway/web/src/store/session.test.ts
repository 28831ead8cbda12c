import { describe, expect, it } from "vitest";

import { Problem } from "../api/problem";
import type { JsonObject, Look, Plan, Query, Receipt, Started } from "../api/types";
import { QuerySession, type Ports } from "./session";

const SCOPE = { start_date: "2025-01-01", end_date: "2025-01-31" };

function receipt(rowCount: number): Receipt {
  return {
    query_id: "q", status: "complete", row_count: rowCount, read_time: null, expires_time: null, as_of_time: null, tier: null,
    chunks: { total: 1, reused: 0, run: 1, failed: 0 }, warehouse_statements: 1, warehouse_row_count: rowCount, failed_ranges: [],
    truncated_ranges: [], plan: "",
  };
}

function problem(status: number, retryAfterS: number | null = null, code = "X"): Problem {
  return new Problem({ status, code, title: "", detail: "", retryAfterS, requestId: null, errors: [] });
}

/** A gateway that answers as a test says, and a clock that only moves when it is told. */
class World {
  calls: string[] = [];
  starts: (() => Started | Problem)[] = [];
  looks: (() => Promise<Look>)[] = [];
  estimate = 1;
  hidden = false;
  timers: { callback: () => void; ms: number; live: boolean }[] = [];
  states: Query[] = [];

  ports(): Ports {
    const started = (): Started => ({ query_id: "q", status: "completed", receipt: receipt(10) });
    return {
      api: {
        plan: async () => { this.calls.push("plan"); return { query_id: "q", chunks: [], plan: "", parameters: {}, warnings: [], estimated_row_count: null, estimated_duration_s: this.estimate } satisfies Plan; },
        start: async () => {
          this.calls.push("start");
          const answer = (this.starts.shift() ?? started)();
          if (answer instanceof Problem) throw answer;
          return answer;
        },
        look: async (_route: string, body: JsonObject) => { this.calls.push("look"); const next = this.looks.shift(); return next ? next() : { query_id: String(body["query_id"]), receipt: receipt(10), views: {} }; },
        query: async () => { this.calls.push("query"); return this.states.shift()!; },
        cancel: async () => { this.calls.push("cancel"); return this.states.shift()!; },
        retry: async () => { this.calls.push("retry"); return this.states.shift()!; },
        events: () => { throw new Error("a hidden tab opens no stream"); },
      },
      now: () => 0,
      later: (callback, ms) => {
        const timer = { callback, ms, live: true };
        this.timers.push(timer);
        return () => { timer.live = false; };
      },
      random: () => 0.5,
      hidden: () => this.hidden,
      onVisibility: () => () => {},
    };
  }

  async tick(): Promise<void> {
    await settle();
    const due = this.timers.filter((timer) => timer.live);
    this.timers = [];
    for (const timer of due) timer.callback();
    await settle();
  }

  count(name: string): number {
    return this.calls.filter((call) => call === name).length;
  }
}

const settle = async (): Promise<void> => { for (let round = 0; round < 20; round += 1) await Promise.resolve(); };
const session = (world: World): QuerySession => new QuerySession("holds", world.ports(), () => {});

function running(percent: number): Query {
  return { query_id: "q", dataset: "holds", parameters: {}, status: "running", start_time: null, progress: { total_count: 4, completed_count: percent / 25, failed_count: 0, percent, row_count: 0, remaining_s: null, chunks: [] } };
}

describe("a query", () => {
  it("is done at once when everything was there", async () => {
    const one = session(new World());
    await one.run(SCOPE);
    expect([one.state.phase, one.state.version, one.state.receipt?.row_count]).toEqual(["done", 1, 10]);
  });

  it("is asked for again in a hidden tab, which holds no stream", async () => {
    const world = new World();
    world.hidden = true;
    world.starts = [() => ({ query_id: "q", status: "running", progress: running(0).progress })];
    world.states = [running(25), { ...running(100), status: "completed", receipt: receipt(7) }];
    const one = session(world);
    const done = one.run(SCOPE);
    await world.tick();
    expect([one.state.phase, one.state.partialVersion]).toEqual(["running", 1]);
    await world.tick();
    await done;
    expect([one.state.phase, one.state.receipt?.row_count]).toEqual(["done", 7]);
  });

  it("waits as long as the refusal says, with jitter, and tries three times", async () => {
    const world = new World();
    const busy = (): Problem => problem(503, 10, "POOL_EXHAUSTED");
    world.starts = [busy, busy, busy, busy];
    const one = session(world);
    const done = one.run(SCOPE);
    await settle();
    expect([one.state.waiting?.untilMs, one.state.waiting?.attempt]).toEqual([11_500, 1]);
    for (let round = 0; round < 3; round += 1) await world.tick();
    await done;
    expect([world.count("start"), one.state.phase, one.state.problem?.code]).toEqual([4, "failed", "POOL_EXHAUSTED"]);
  });

  it("is tried at once when people say so", async () => {
    const world = new World();
    world.starts = [() => problem(429, 60)];
    const one = session(world);
    const done = one.run(SCOPE);
    await settle();
    one.tryNow();
    await done;
    expect([world.count("start"), one.state.phase]).toEqual([2, "done"]);
  });
});

describe("expired rows", () => {
  const gone = async (): Promise<Look> => { throw problem(410); };

  it("are read again once, however many looks found them gone", async () => {
    const world = new World();
    const one = session(world);
    await one.run(SCOPE);
    world.looks = [gone, gone, gone];
    const answers = await Promise.all([one.look("a", {}), one.look("b", {}), one.look("c", {})]);
    expect([answers, world.count("start"), one.state.version]).toEqual([[null, null, null], 2, 2]);
  });

  it("that are gone again at once are an error, not a loop", async () => {
    const world = new World();
    const one = session(world);
    await one.run(SCOPE);
    world.looks = [gone, gone];
    await one.look("a", {});
    await expect(one.look("a", {})).rejects.toMatchObject({ status: 410 });
    expect(world.count("start")).toBe(2);
  });

  it("that take long to read again are asked about first", async () => {
    const world = new World();
    world.estimate = 40;
    const one = session(world);
    await one.run(SCOPE);
    world.looks = [gone];
    await one.look("a", {});
    expect([one.state.phase, world.count("start")]).toEqual(["expired", 1]);
  });

  it("say so when there are more of them now", async () => {
    const world = new World();
    const one = session(world);
    await one.run(SCOPE);
    world.looks = [gone];
    world.starts = [() => ({ query_id: "q", status: "completed", receipt: receipt(12) })];
    await one.look("a", {});
    expect(one.state.changed).toEqual({ before: 10, after: 12 });
  });
});

describe("expired rows that the page holds", () => {
  const gone = async (): Promise<Look> => { throw problem(410); };
  const here: Look = { query_id: "q", receipt: receipt(10), views: {} };

  it("are looked at there, and nothing is read again", async () => {
    const world = new World();
    const one = new QuerySession("holds", { ...world.ports(), held: async () => here }, () => {});
    await one.run(SCOPE);
    world.looks = [gone];
    expect([await one.look("a", {}), one.state.held, world.count("start")]).toEqual([here, true, 1]);
    expect([await one.look("a", {}), world.count("look")]).toEqual([here, 1]);
  });

  it("are read again where the page cannot compute what is asked", async () => {
    const world = new World();
    const one = new QuerySession("holds", { ...world.ports(), held: async () => null }, () => {});
    await one.run(SCOPE);
    world.looks = [gone];
    expect([await one.look("a", {}), one.state.held, world.count("start")]).toEqual([null, false, 2]);
  });

  it("are not looked at once the query has run again", async () => {
    const world = new World();
    const one = new QuerySession("holds", { ...world.ports(), held: async () => here }, () => {});
    await one.run(SCOPE);
    world.looks = [gone];
    await one.look("a", {});
    await one.run(SCOPE);
    await one.look("a", {});
    expect([one.state.held, world.count("look")]).toEqual([false, 2]);
  });
});

describe("looks", () => {
  it("of one lane: the later wins whatever the order of the answers", async () => {
    const world = new World();
    const one = session(world);
    await one.run(SCOPE);
    let answerFirst: (look: Look) => void = () => {};
    world.looks = [() => new Promise((resolve) => { answerFirst = resolve; })];
    const first = one.look("a", {});
    const second = await one.look("a", {});
    answerFirst({ query_id: "q", receipt: receipt(1), views: {} });
    expect([await first, second?.receipt.row_count]).toEqual([null, 10]);
  });
});
