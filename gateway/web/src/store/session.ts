/**
 * The life of one query as the page sees it; no framework inside.
 *
 * `idle → planned → submitting → running → done | failed | cancelled`, and from `done`, when the rows have expired,
 * `requerying → done` once by itself, or `expired` where reading again would take long and people are asked first.
 */

import type { Api } from "../api/client";
import { Problem, asProblem, isAbort } from "../api/problem";
import type { JsonObject, Look, Plan, Progress, Query, Receipt } from "../api/types";

export type Phase =
  | "idle" | "planned" | "submitting" | "running" | "done" | "failed" | "cancelled" | "expired" | "requerying";

export interface Waiting {
  untilMs: number;
  attempt: number;
  code: string;
}

export interface SessionState {
  phase: Phase;
  plan: Plan | null;
  planning: boolean;
  planProblem: Problem | null;
  queryId: string;
  /** The parameters whose result is shown. */
  ran: JsonObject | null;
  progress: Progress | null;
  startedMs: number;
  receipt: Receipt | null;
  problem: Problem | null;
  waiting: Waiting | null;
  /** Raised each time rows are there to be looked at anew. */
  version: number;
  /** Chunks finished so far, for looks at what is already there. */
  partialVersion: number;
  /** Row counts before and after expired rows were read again, when they differ. */
  changed: { before: number; after: number } | null;
  /** The rows have expired and are looked at in this page, which still holds them. */
  held: boolean;
}

export interface Ports {
  api: Pick<Api, "plan" | "start" | "query" | "cancel" | "retry" | "events" | "look">;
  now: () => number;
  /** Calls back after so many milliseconds; the answer takes it back. */
  later: (callback: () => void, ms: number) => () => void;
  random: () => number;
  hidden: () => boolean;
  onVisibility: (callback: () => void) => () => void;
  /** Looks at rows that the page holds; null where it holds none, or cannot compute what is asked. */
  held?: (body: JsonObject) => Promise<Look | null>;
}

/** Reading again takes longer than this: people are asked first. */
const ASK_ABOVE_S = 10;
const MOST_TRIES = 3;
const POLL_FIRST_MS = 1000;
const POLL_MOST_MS = 5000;
const TRANSIENT = new Set([
  "POOL_EXHAUSTED", "PERMITS_EXHAUSTED", "CIRCUIT_OPEN", "WAREHOUSE_UNAVAILABLE", "SERVICE_UNAVAILABLE", "INTERRUPTED",
  "MEMORY_PRESSURE", "RATE_LIMITED",
]);

export class QuerySession {
  readonly state: SessionState = {
    phase: "idle", plan: null, planning: false, planProblem: null, queryId: "", ran: null, progress: null, startedMs: 0,
    receipt: null, problem: null, waiting: null, version: 0, partialVersion: 0, changed: null, held: false,
  };

  private runNumber = 0;
  private planNumber = 0;
  private readonly laneNumbers = new Map<string, number>();
  private readonly laneAborts = new Map<string, AbortController>();
  private stopFollowing: () => void = () => {};
  private endWaiting: () => void = () => {};
  private expiries = 0;
  private requerying: Promise<void> | null = null;
  private disposed = false;

  constructor(
    private readonly route: string,
    private readonly ports: Ports,
    private readonly changed: () => void,
  ) {}

  dispose(): void {
    this.disposed = true;
    this.runNumber += 1;
    this.stopFollowing();
    this.endWaiting();
    for (const controller of this.laneAborts.values()) controller.abort();
  }

  /** Asks what a query would do; a later question makes an earlier answer void. */
  async preview(parameters: JsonObject): Promise<Plan | null> {
    const number = ++this.planNumber;
    this.set({ planning: true });
    try {
      const plan = await this.ports.api.plan(this.route, parameters);
      if (number !== this.planNumber || this.disposed) return null;
      this.set({ plan, planning: false, planProblem: null, ...(this.state.phase === "idle" ? { phase: "planned" } : {}) });
      return plan;
    } catch (error) {
      if (number === this.planNumber) this.set({ planning: false, plan: null, planProblem: asProblem(error) });
      return null;
    }
  }

  /** Runs the query until it has ended, trying again where the refusal says that this makes sense. */
  async run(parameters: JsonObject, fresh = false): Promise<void> {
    const number = this.begin("submitting");
    this.expiries = 0;
    this.set({ changed: null });
    await this.attempt(number, parameters, fresh);
  }

  /** Withdraws: chunks that are there stay. */
  async cancel(): Promise<void> {
    const id = this.state.queryId;
    const number = this.begin("cancelled");
    if (!id) return;
    try {
      await this.ports.api.cancel(id);
    } catch (error) {
      const problem = asProblem(error);
      if (number === this.runNumber && problem.code !== "QUERY_FINISHED" && !problem.expired) this.set({ problem });
    }
  }

  /** Runs the chunks that failed, and only those; or only the one of them at a position. */
  async retryFailed(chunk?: number): Promise<void> {
    const { queryId, ran } = this.state;
    const number = this.begin("running");
    try {
      const query = await this.patiently(number, () => this.ports.api.retry(queryId, chunk));
      if (number !== this.runNumber) return;
      await this.follow(number, query);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.expired && ran && number === this.runNumber) await this.run(ran);
      else this.fail(number, problem);
    }
  }

  /** Ends a countdown: what it waited for is tried now. */
  tryNow(): void {
    this.endWaiting();
  }

  /**
   * Looks at the rows. Of two looks in one lane the later wins, whatever the order of the answers; null when this one lost,
   * or when the rows had expired and are read again, after which `version` asks for every look anew.
   */
  async look(lane: string, body: JsonObject): Promise<Look | null> {
    const number = (this.laneNumbers.get(lane) ?? 0) + 1;
    this.laneNumbers.set(lane, number);
    this.laneAborts.get(lane)?.abort();
    const controller = new AbortController();
    this.laneAborts.set(lane, controller);
    const current = (): boolean => this.laneNumbers.get(lane) === number && !this.disposed;
    const run = this.runNumber;
    // A snapshot is looked at without a query.
    const request = this.state.queryId ? { ...body, query_id: this.state.queryId } : body;
    try {
      const here = this.state.held ? await this.ports.held?.(request) : null;
      if (here) return current() ? here : null;
      const answer = await this.patiently(run, () => this.ports.api.look(this.route, request, { signal: controller.signal }));
      if (!current()) return null;
      if (!body["allow_partial"]) this.expiries = 0;
      return answer;
    } catch (error) {
      if (isAbort(error) || !current()) return null;
      const problem = asProblem(error);
      if (!problem.expired || body["allow_partial"]) throw problem;
      const kept = run === this.runNumber ? await this.ports.held?.(request) : null;
      // An answer of an earlier run that expired meanwhile says nothing of the rows that are there now.
      if (run !== this.runNumber) return null;
      if (kept) return this.lookedHere(kept, current());
      if (this.expiries > 0) throw problem;
      await (this.requerying ??= this.requery().finally(() => { this.requerying = null; }));
      return null;
    }
  }

  /** What the page itself answered after the rows had expired; from here on it is asked first. */
  private lookedHere(answer: Look, current: boolean): Look | null {
    this.set({ held: true });
    return current ? answer : null;
  }

  private async requery(): Promise<void> {
    const { ran, receipt } = this.state;
    if (!ran) return;
    const number = this.begin("requerying");
    this.expiries += 1;
    try {
      const plan = await this.ports.api.plan(this.route, ran);
      if (number !== this.runNumber) return;
      if ((plan.estimated_duration_s ?? 0) > ASK_ABOVE_S) {
        this.set({ plan, phase: "expired" });
        return;
      }
    } catch {
      // Without an estimate the query itself says what is wrong.
    }
    if (number !== this.runNumber) return;
    await this.attempt(number, ran, false, "requerying");
    const after = this.state.receipt?.row_count;
    if (number === this.runNumber && receipt && after !== undefined && after !== receipt.row_count) {
      this.set({ changed: { before: receipt.row_count, after } });
    }
  }

  private begin(phase: Phase): number {
    this.stopFollowing();
    this.endWaiting();
    this.runNumber += 1;
    this.set({ phase, problem: null, waiting: null, held: false, startedMs: this.ports.now() });
    return this.runNumber;
  }

  private async attempt(number: number, parameters: JsonObject, fresh: boolean, during: Phase = "running"): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      let problem: Problem;
      try {
        const started = await this.patiently(number, () => this.ports.api.start(this.route, parameters, fresh));
        if (number !== this.runNumber) return;
        this.set({ queryId: started.query_id, ran: parameters });
        if (started.status === "running") {
          this.set({ phase: during, progress: started.progress ?? null });
          const ended = await this.followed(number, started.query_id);
          if (!ended || number !== this.runNumber) return;
          if (ended.status !== "failed") {
            this.settle(ended);
            return;
          }
          problem = failureOf(ended);
        } else {
          this.arrive(started.receipt ?? null, started.progress ?? null);
          return;
        }
      } catch (error) {
        this.fail(number, asProblem(error));
        return;
      }
      if (number !== this.runNumber) return;
      if (!TRANSIENT.has(problem.code) || tries >= MOST_TRIES) {
        this.fail(number, problem);
        return;
      }
      await this.wait(problem.retryAfterS ?? 5, tries, problem.code);
      if (number !== this.runNumber) return;
    }
  }

  private async follow(number: number, query: Query): Promise<void> {
    this.set({ progress: query.progress });
    const ended = query.status === "running" ? await this.followed(number, query.query_id) : query;
    if (!ended || number !== this.runNumber) return;
    if (ended.status === "failed") this.fail(number, failureOf(ended));
    else this.settle(ended);
  }

  private settle(query: Query): void {
    if (query.status === "cancelled") {
      this.set({ phase: "cancelled", progress: query.progress });
      return;
    }
    this.arrive(query.receipt ?? null, query.progress);
  }

  private arrive(receipt: Receipt | null, progress: Progress | null): void {
    this.set({ phase: "done", receipt, progress: progress ?? this.state.progress, problem: null, version: this.state.version + 1 });
  }

  private fail(number: number, problem: Problem): void {
    if (number === this.runNumber && !this.disposed) this.set({ phase: "failed", problem, waiting: null });
  }

  /** Tries again while the refusal says when, three times at most; the countdown is shown. */
  private async patiently<T>(number: number, work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (isAbort(error)) throw error;
        const problem = asProblem(error);
        if (!problem.busy || tries > MOST_TRIES || number !== this.runNumber) throw problem;
        await this.wait(problem.retryAfterS ?? 2, tries, problem.code);
        if (number !== this.runNumber) throw problem;
      }
    }
  }

  private async wait(seconds: number, attempt: number, code: string): Promise<void> {
    // Everybody who was refused together would otherwise come back together.
    const ms = seconds * 1000 * (1 + 0.3 * this.ports.random());
    this.set({ waiting: { untilMs: this.ports.now() + ms, attempt, code } });
    await new Promise<void>((resolve) => {
      const stop = this.ports.later(resolve, ms);
      this.endWaiting = () => {
        stop();
        resolve();
      };
    });
    this.endWaiting = () => {};
    if (!this.disposed) this.set({ waiting: null });
  }

  /** The query once it has ended; null when another run took over. A lost stream is no error: then it is asked for. */
  private followed(number: number, id: string): Promise<Query | null> {
    return new Promise((resolve) => {
      let closeStream: () => void = () => {};
      let stopPolling: () => void = () => {};
      let finished = false;
      const finish = (query: Query | null): void => {
        if (finished) return;
        finished = true;
        closeStream();
        stopPolling();
        unwatch();
        resolve(query);
      };
      const take = (query: Query): void => {
        if (number !== this.runNumber) finish(null);
        else if (query.status === "running") this.advance(query.progress);
        else finish(query);
      };
      const poll = (delay: number): void => {
        stopPolling();
        stopPolling = this.ports.later(() => {
          this.ports.api.query(id).then(
            (query) => {
              take(query);
              if (!finished) poll(Math.min(delay === 0 ? POLL_FIRST_MS : delay * 1.5, POLL_MOST_MS));
            },
            (error: unknown) => {
              const problem = asProblem(error);
              if (problem.expired) finish(lost(id, problem));
              else if (!finished) poll(POLL_MOST_MS);
            },
          );
        }, delay);
      };
      const stream = (): void => {
        const source = this.ports.api.events(id);
        closeStream = () => source.close();
        const told = (event: Event): void => take(JSON.parse((event as MessageEvent<string>).data) as Query);
        source.addEventListener("progress", told);
        source.addEventListener("end", told);
        const gone = (): void => {
          source.close();
          if (!finished) poll(0);
        };
        for (const name of ["problem", "error"]) source.addEventListener(name, gone);
      };
      // A hidden tab holds no stream: a browser has six connections for all of its tabs.
      const choose = (): void => {
        closeStream();
        stopPolling();
        if (this.ports.hidden()) poll(0);
        else stream();
      };
      const unwatch = this.ports.onVisibility(() => {
        if (!finished) choose();
      });
      this.stopFollowing = () => finish(null);
      choose();
    });
  }

  private advance(progress: Progress): void {
    const before = this.state.progress?.completed_count ?? 0;
    const more = progress.completed_count > before ? 1 : 0;
    this.set({ progress, partialVersion: this.state.partialVersion + more });
  }

  private set(changes: Partial<SessionState>): void {
    Object.assign(this.state, changes);
    this.changed();
  }
}

function failureOf(query: Query): Problem {
  return new Problem({
    status: 0, code: query.error?.code ?? "INTERNAL", title: "", detail: query.error?.message ?? "", retryAfterS: null,
    requestId: null, errors: [],
  });
}

function lost(id: string, problem: Problem): Query {
  return {
    query_id: id, dataset: "", parameters: {}, status: "failed", start_time: null,
    progress: { total_count: 0, completed_count: 0, failed_count: 0, percent: 0, row_count: 0, remaining_s: null, chunks: [] },
    error: { code: "INTERRUPTED", message: problem.detail },
  };
}

/** The browser as the session needs it. */
export function browserPorts(api: Api): Ports {
  return {
    api,
    now: () => Date.now(),
    later: (callback, ms) => {
      const id = window.setTimeout(callback, ms);
      return () => window.clearTimeout(id);
    },
    random: Math.random,
    hidden: () => document.hidden,
    onVisibility: (callback) => {
      document.addEventListener("visibilitychange", callback);
      return () => document.removeEventListener("visibilitychange", callback);
    },
  };
}
