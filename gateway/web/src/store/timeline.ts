/** What happened to lots, from all domains, as intervals and instants on lanes. */

import type { Cell, Events } from "../api/types";

export const DOMAINS = ["history", "holds", "rejects", "materials", "jobs"] as const;
export type Domain = (typeof DOMAINS)[number];

interface Reading {
  start: string;
  end: string | null;
  what: string[];
  qty: string | null;
}

/** Which columns of a domain say when, what and how many. */
const READINGS: Record<Domain, Reading> = {
  history: { start: "TRACKINTIMESTAMP", end: "TRACKOUTTIMESTAMP", what: ["SPECNAME", "EQUIPMENTNAME"], qty: "TRACKOUTQTY" },
  holds: { start: "HOLDTXNDATE", end: "RELEASETXNDATE", what: ["HOLDREASONNAME", "WORKCENTERNAME"], qty: null },
  rejects: { start: "TXN_TIME", end: null, what: ["LOSSREASONNAME", "SPECNAME"], qty: "REJECT_TOTAL_QTY" },
  materials: { start: "TXNDATE", end: null, what: ["MATERIALPARTNAME", "MATERIALLOTNAME"], qty: "QTYCONSUMED" },
  jobs: { start: "CREATEDATE", end: "COMPLETEDATE", what: ["JOBID", "RESOURCENAME", "SYMPTOMCODENAME"], qty: null },
};

export interface Happening {
  domain: Domain;
  lane: string;
  /** Plant-local, as the warehouse says. */
  start: string;
  end: string | null;
  /** Milliseconds on the plant's clock, only for drawing. */
  from: number;
  to: number;
  instant: boolean;
  open: boolean;
  what: string;
  qty: number | null;
}

/** The plant's wall clock as a number; its zone is none of a browser's business. */
export function plantMs(text: string): number {
  return Date.parse(`${text.slice(0, 19)}Z`);
}

export function plantText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

const text = (value: Cell | undefined): string => (value === null || value === undefined ? "" : String(value));

export function happenings(domain: Domain, events: Events, names: Map<string, string>, nowMs: number): Happening[] {
  const reading = READINGS[domain];
  const found: Happening[] = [];
  for (const [cid, records] of Object.entries(events.records_by_cid)) {
    for (const record of records) {
      const start = text(record[reading.start]);
      if (!start) continue;
      const end = reading.end ? text(record[reading.end]) || null : null;
      const from = plantMs(start);
      const instant = reading.end === null;
      const open = !instant && end === null;
      found.push({
        domain, lane: names.get(cid) ?? cid, start, end, from, instant, open,
        to: instant ? from : open ? Math.max(nowMs, from) : plantMs(end!),
        what: reading.what.map((name) => text(record[name])).filter(Boolean).join(" · "),
        qty: reading.qty && typeof record[reading.qty] === "number" ? (record[reading.qty] as number) : null,
      });
    }
  }
  return found.sort((a, b) => a.from - b.from || (a.what < b.what ? -1 : 1));
}

/** A stretch of the plant's clock, in milliseconds. */
export interface Span {
  from: number;
  to: number;
}

/** Of the lots' own events so many on either side may lie outside the first view. */
const LEFT_OUT = 0.01;
/** A first view that saves less than this share of the whole leaves nothing out. */
const WORTHWHILE = 2 / 3;
const LEAST_MARGIN_MS = 3_600_000;

/** From the first to the last of them with some room around; null without any. */
export function wholeSpan(items: Happening[]): Span | null {
  return items.length ? roomAround(Math.min(...items.map((item) => item.from)), Math.max(...items.map((item) => item.to))) : null;
}

/**
 * What is looked at first: where nearly all events of the lots themselves are.
 *
 * A job is one of a machine and may have been opened long before the lot came; it stretches the view of nobody's lots.
 */
export function firstSpan(items: Happening[]): Span | null {
  const whole = wholeSpan(items);
  const own = items.filter((item) => item.domain !== "jobs");
  if (!whole || !own.length) return whole;
  const left = Math.floor(own.length * LEFT_OUT);
  const from = own.map((item) => item.from).sort((a, b) => a - b)[left]!;
  const to = own.map((item) => item.to).sort((a, b) => b - a)[left]!;
  const first = roomAround(from, Math.max(from, to));
  return first.to - first.from < (whole.to - whole.from) * WORTHWHILE ? first : whole;
}

function roomAround(from: number, to: number): Span {
  const margin = Math.max(LEAST_MARGIN_MS, (to - from) * 0.02);
  return { from: from - margin, to: to + margin };
}

/** Whether any of it lies within the span. */
export const within = (item: Happening, span: Span): boolean => item.to >= span.from && item.from <= span.to;

export interface Mark {
  x: number;
  width: number;
  members: Happening[];
}

/** Happenings of one lane and domain as marks; those that start closer than so many pixels are one, with its count. */
export function clusters(items: Happening[], scale: (ms: number) => number, closerThan = 3): Mark[] {
  const marks: Mark[] = [];
  for (const item of items) {
    const x = scale(item.from);
    const width = item.instant ? 0 : Math.max(2, scale(item.to) - x);
    const last = marks[marks.length - 1];
    if (last && item.instant === last.members[0]!.instant && x - last.x < closerThan) {
      last.members.push(item);
      last.width = Math.max(last.width, x + width - last.x);
    } else marks.push({ x, width, members: [item] });
  }
  return marks;
}
