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
