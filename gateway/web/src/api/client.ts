/** The one place that talks to the gateway. Addresses are relative to the document's base, whatever prefix that has. */

import { Problem, isAbort } from "./problem";
import type {
  Catalogue, Descendants, Events, Genealogy, JsonObject, KeptView, Look, Options, Permalink, Plan, Query, Resolution, RunningQuery, Started,
} from "./types";

export interface CallOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

async function answered(method: string, path: string, body: unknown, options: CallOptions): Promise<Response> {
  const init: RequestInit = {
    method,
    headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...options.headers },
    // No `cache` here: any mode but the usual one adds `Cache-Control: no-cache`, which asks the gateway to read anew.
  };
  if (options.signal) init.signal = options.signal;
  if (body !== undefined) init.body = JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw Problem.offline();
  }
  if (!response.ok) throw await Problem.of(response);
  return response;
}

async function call<T>(method: string, path: string, body: unknown, options: CallOptions): Promise<T> {
  const response = await answered(method, path, body, options);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

const encoded = (text: string): string => encodeURIComponent(text);
const NO_CACHE = { "Cache-Control": "no-cache" };

export const api = {
  datasets: (options: CallOptions = {}) => call<Catalogue>("GET", "api/datasets", undefined, options),
  me: () => call<{ user: string; anonymous: boolean }>("GET", "api/me", undefined, {}),

  plan: (route: string, parameters: JsonObject, options: CallOptions = {}) =>
    call<Plan>("POST", `api/${route}/plan`, parameters, options),

  /** Starts or joins the query and answers at once, without views. */
  start: (route: string, parameters: JsonObject, fresh: boolean, options: CallOptions = {}) =>
    call<Started>("POST", `api/${route}/query`, { ...parameters, views: [] }, {
      ...options, headers: { Prefer: "respond-async", ...(fresh ? NO_CACHE : {}) },
    }),

  query: (id: string, options: CallOptions = {}) => call<Query>("GET", `api/queries/${encoded(id)}`, undefined, options),
  cancel: (id: string, force = false) =>
    call<Query>("DELETE", `api/queries/${encoded(id)}${force ? "?force=true" : ""}`, undefined, {}),
  /** Runs what is missing; of what failed only one chunk where its position is given. */
  retry: (id: string, chunk?: number) =>
    call<Query>("POST", `api/queries/${encoded(id)}/retry${chunk === undefined ? "" : `?chunk=${chunk}`}`, {}, {}),
  events: (id: string): EventSource => new EventSource(address(`api/queries/${encoded(id)}/events`)),

  look: (route: string, body: JsonObject, options: CallOptions = {}) => call<Look>("POST", `api/${route}/view`, body, options),
  /** Every row of a paged view, as an Arrow stream. */
  rows: async (route: string, body: JsonObject): Promise<Uint8Array> => new Uint8Array(await (await answered("POST", `api/${route}/export`, { ...body, format: "arrow" }, {})).arrayBuffer()),
  options: (route: string, body: JsonObject, options: CallOptions = {}) =>
    call<Options>("POST", `api/${route}/options`, body, options),

  resolve: (kind: string, values: string[], options: CallOptions = {}) =>
    call<Resolution>("POST", "api/containers/resolve", { kind, values }, options),
  genealogy: (containerIds: string[], maxDepth: number, options: CallOptions = {}) =>
    call<Genealogy>("POST", "api/lineage/genealogy", { container_ids: containerIds, max_depth: maxDepth }, options),
  descendants: (containerIds: string[], maxDepth: number, options: CallOptions = {}) =>
    call<Descendants>("POST", "api/lineage/descendants", { container_ids: containerIds, max_depth: maxDepth }, options),
  happenings: (domain: string, containerIds: string[], options: CallOptions = {}) =>
    call<Events>("POST", `api/events/${domain}`, { container_ids: containerIds }, options),

  saved: () => call<{ views: KeptView[] }>("GET", "api/saved", undefined, {}),
  savedView: (id: string) => call<KeptView>("GET", `api/saved/${encoded(id)}`, undefined, {}),
  save: (view: { path: string; name: string; note: string; shared: boolean }) => call<KeptView>("POST", "api/saved", view, {}),
  replace: (id: string, view: { path: string; name: string; note: string; shared: boolean }) =>
    call<KeptView>("PUT", `api/saved/${encoded(id)}`, view, {}),
  forget: (id: string) => call<undefined>("DELETE", `api/saved/${encoded(id)}`, undefined, {}),
  shorten: (path: string) => call<Permalink>("POST", "api/permalinks", { path }, {}),
  link: (id: string) => call<Permalink>("GET", `api/permalinks/${encoded(id)}`, undefined, {}),

  permits: () => call<{ permits: Record<string, JsonObject | null> }>("GET", "api/ops/permits", undefined, {}),
  running: () => call<{ queries: RunningQuery[] }>("GET", "api/ops/queries", undefined, {}),
  /** Answers whether all is well or not: 503 is an answer here. */
  health: async (): Promise<JsonObject> => {
    try {
      const response = await fetch(address("health"), { headers: { Accept: "application/json" } });
      return (await response.json()) as JsonObject;
    } catch {
      throw Problem.offline();
    }
  },
};

export type Api = typeof api;
