/** Rows that this page holds: a copy of the stored table, in a thread of its own, that answers looks without the gateway. */

import { address } from "../api/client";
import type { Dataset, JsonObject, Look, Receipt, Table } from "../api/types";
import type { Answer, Opening, Order } from "../local/worker";

/** Above this a browser on an office machine is better served by the gateway. */
const MOST_ROWS = 1_000_000;
const MOST_BYTES = 400 * 1024 * 1024;

export interface HeldQuestion {
  queryId: string;
  parameters: JsonObject;
  receipt: Receipt;
}

export class HeldRows {
  private worker: Worker | null = null;
  private question: HeldQuestion | null = null;
  private opening: Promise<boolean> | null = null;
  private opened = false;
  private number = 0;
  private readonly waiting = new Map<number, (answer: Answer) => void>();

  constructor(private readonly dataset: Dataset) {}

  /** Gets the rows of a query here, once; false when there are too many of them, or when they are gone already. */
  hold(question: HeldQuestion): Promise<boolean> {
    if (this.opening && this.question?.queryId === question.queryId && this.question.receipt.read_time === question.receipt.read_time) return this.opening;
    this.release();
    if (question.receipt.row_count > MOST_ROWS) return Promise.resolve(false);
    this.question = question;
    this.opening = this.open(question).catch(() => false);
    void this.opening.then((opened) => { if (question === this.question) this.opened = opened; });
    return this.opening;
  }

  release(): void {
    this.worker?.terminate();
    this.worker = null;
    this.question = null;
    this.opening = null;
    this.opened = false;
    for (const [id, done] of this.waiting) done({ id, refused: "released" });
    this.waiting.clear();
  }

  /** The answer that the gateway would give; null when that is not known here, or not yet. */
  async look(body: JsonObject): Promise<Look | null> {
    const { question } = this;
    const wanted = Array.isArray(body["view"]) ? body["view"].map(String) : [];
    if (!question || !this.opened) return null;
    if (body["query_id"] !== undefined && body["query_id"] !== question.queryId) return null;
    const answer = await this.ask({ views: wanted, body });
    if (!("tables" in answer) || question !== this.question) return null;
    return { query_id: question.queryId, receipt: question.receipt, views: this.shown(wanted, answer.tables) };
  }

  private shown(wanted: string[], tables: Record<string, Table>): Record<string, Table> {
    const columns = new Map(this.dataset.views.map((view) => [view.name, view.columns]));
    return Object.fromEntries(wanted.map((name) => [name, { ...tables[name]!, columns: (columns.get(name) ?? []).map((column) => ({ name: column.name, type: column.type })) }]));
  }

  private async open(question: HeldQuestion): Promise<boolean> {
    const path = `api/datasets/${encodeURIComponent(this.dataset.name)}/computation`;
    const response = await fetch(address(path), { headers: { Accept: "application/json" } });
    if (!response.ok || question !== this.question) return false;
    this.worker = new Worker(new URL("../local/worker.ts", import.meta.url), { type: "module" });
    this.worker.onmessage = (event: MessageEvent<Answer>) => {
      this.waiting.get(event.data.id)?.(event.data);
      this.waiting.delete(event.data.id);
    };
    const formats = Object.fromEntries(Object.entries(this.dataset.parameters.properties ?? {}).map(([name, schema]) => [name, schema.format ?? ""]));
    const opening: Opening = {
      address: address(`api/${this.dataset.route}/frame?query_id=${question.queryId}&format=arrow`),
      computation: (await response.json()) as Opening["computation"],
      parameters: question.parameters, formats, asOf: question.receipt.as_of_time, mostRows: MOST_ROWS, mostBytes: MOST_BYTES,
    };
    return "opened" in (await this.ask({ open: opening }));
  }

  private ask(order: { open: Opening } | { views: string[]; body: JsonObject }): Promise<Answer> {
    const id = (this.number += 1);
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.worker!.postMessage({ ...order, id } satisfies Order);
    });
  }
}
