/** The addresses of the page. Their base is the document's, so any prefix of a proxy works. */

import { createRouter, createWebHistory } from "vue-router";

import { keepLinks } from "./keeping";
import HomePage from "../pages/HomePage.vue";

/** The largest piece of the page comes while the rows are asked for: nearly every dataset draws a trend. */
function datasetPage(): Promise<typeof import("../pages/DatasetPage.vue")> {
  const page = import("../pages/DatasetPage.vue");
  void page.then(() => import("../widgets/TrendChart.vue"));
  return page;
}

export const router = createRouter({
  history: createWebHistory(new URL(document.baseURI).pathname),
  routes: [
    { path: "/", name: "home", component: HomePage },
    { path: "/d/:name", name: "dataset", component: datasetPage },
    { path: "/trace", name: "trace", component: () => import("../pages/TracePage.vue") },
    { path: "/timeline", name: "timeline", component: () => import("../pages/TimelinePage.vue") },
    { path: "/saved", name: "saved", component: () => import("../pages/SavedPage.vue") },
    { path: "/saved/:id", name: "saved-view", component: () => import("../pages/KeptPage.vue") },
    { path: "/p/:id", name: "link", component: () => import("../pages/KeptPage.vue") },
    { path: "/ops", name: "ops", component: () => import("../pages/OperationsPage.vue") },
    { path: "/:rest(.*)*", name: "nowhere", component: () => import("../pages/NowherePage.vue") },
  ],
});
keepLinks(router);
