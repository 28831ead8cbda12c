/** What the gateway keeps for people: views under a name, and short links for addresses that are too long to send. */

import { shallowRef } from "vue";
import type { RouteLocationNormalized, RouteLocationRaw, Router } from "vue-router";

import { api } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { KeptView } from "../api/types";
import { defaultViews } from "./stored";

/** Longer addresses are cut by mail programs, chats and some proxies. */
export const MOST_ADDRESS_CHARS = 1800;

export const keptViews = shallowRef<KeptView[]>([]);
/** Why the gateway's views are not shown; null when they are. */
export const keptProblem = shallowRef<Problem | null>(null);
/** Why the link that was opened leads nowhere. */
export const openingProblem = shallowRef<Problem | null>(null);

/** The view with which a dataset was opened because it is its default; null once anything else is opened. */
export const openedDefault = shallowRef<KeptView | null>(null);
/** Behind an address: the dataset as it is, without the view that is its default. */
export const PLAIN = "#plain";

/** Addresses by the id of their link, so that going back asks nothing. */
const addresses = new Map<string, string>();

export async function loadKept(): Promise<void> {
  try {
    keptViews.value = (await api.saved()).views;
    keptProblem.value = null;
  } catch (error) {
    keptProblem.value = asProblem(error);
  }
}

/** The address without what is only for whoever looks now. */
export function keepable(fullPath: string): string {
  const [page = "", query = ""] = fullPath.split("#")[0]!.split("?");
  const fields = query.split("&").filter((field) => field !== "" && !/^debug(=|$)/.test(field));
  return fields.length ? `${page}?${fields.join("&")}` : page;
}

const absolute = (router: Router, path: string): string => new URL(router.resolve(path).href, document.baseURI).href;

/** The address to send somebody: as it is, or its short link where it is too long. */
export async function sendable(router: Router, fullPath: string): Promise<string> {
  const path = keepable(fullPath);
  const whole = absolute(router, path);
  if (whole.length <= MOST_ADDRESS_CHARS) return whole;
  try {
    return absolute(router, `/p/${(await shortened(path)).id}`);
  } catch {
    // Long links still work where nothing cuts them.
    return whole;
  }
}

async function shortened(path: string): Promise<{ id: string }> {
  for (const [id, known] of addresses) if (known === path) return { id };
  const link = await api.shorten(path);
  addresses.set(link.id, path);
  return link;
}

/** Leads a link of ours to the address it stands for; where that fails its own page says why. */
async function opened(router: Router, to: RouteLocationNormalized): Promise<RouteLocationRaw | true> {
  const id = String(to.params["id"]);
  openingProblem.value = null;
  try {
    const path = addresses.get(id) ?? (to.name === "link" ? await api.link(id) : await api.savedView(id)).path;
    if (to.name === "link") addresses.set(id, path);
    const { path: page, query } = router.resolve(path);
    return { path: page, query, replace: true };
  } catch (error) {
    openingProblem.value = asProblem(error);
    return true;
  }
}

/** Writes a short link over an address that has become too long; what is shown stays as it is. */
async function shorten(router: Router, to: RouteLocationNormalized): Promise<void> {
  const path = keepable(to.fullPath);
  if (absolute(router, path).length <= MOST_ADDRESS_CHARS) return;
  try {
    const short = `/p/${(await shortened(path)).id}`;
    if (router.currentRoute.value.fullPath !== to.fullPath) return;
    // The router writes `current` into the entry when it leaves it.
    window.history.replaceState({ ...window.history.state, current: short }, "", absolute(router, short));
  } catch {
    // The long address stays, which is as good until it is sent.
  }
}

/** The dataset that a view looks at; null for views of other pages. */
export const datasetOf = (view: KeptView): string | null => /^\/d\/([^?]+)/.exec(view.path)?.[1] ?? null;

/** Leads a dataset's bare address to the view that people chose as its default; one that is gone is forgotten. */
async function byDefault(to: RouteLocationNormalized, router: Router): Promise<RouteLocationRaw | true> {
  const name = String(to.params["name"]);
  const id = defaultViews.value[name];
  if (id === undefined || Object.keys(to.query).length > 0 || to.hash === PLAIN) return true;
  try {
    const view = await api.savedView(id);
    if (datasetOf(view) !== name || !view.path.includes("?")) return true;
    openedDefault.value = view;
    const { path, query } = router.resolve(view.path);
    return { path, query, replace: true };
  } catch (error) {
    if (asProblem(error).status === 404) setDefault(name, null);
    return true;
  }
}

/** Has a dataset open with a view in this browser; null opens it as it is. */
export function setDefault(dataset: string, id: string | null): void {
  const { [dataset]: _, ...others } = defaultViews.value;
  defaultViews.value = id === null ? others : { ...others, [dataset]: id };
}

export function keepLinks(router: Router): void {
  router.beforeEach((to, from) => {
    if (to.name === "link" || to.name === "saved-view") return opened(router, to);
    return to.name === "dataset" && (from.name !== "dataset" || from.params["name"] !== to.params["name"]) ? byDefault(to, router) : true;
  });
  router.afterEach((to, _from, failure) => {
    if (failure) return;
    if (openedDefault.value && (to.name !== "dataset" || to.params["name"] !== datasetOf(openedDefault.value))) openedDefault.value = null;
    void shorten(router, to);
  });
}
