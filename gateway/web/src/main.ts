import { createApp } from "vue";

import App from "./App.vue";
import { loadCatalogue } from "./app/catalogue";
import { router } from "./app/router";
import { loadTexts } from "./i18n";
import "./theme/tokens.css";

/** Once the document's own words are on the screen, or could be: a tab that nobody sees paints nothing. */
function painted(): Promise<void> {
  return new Promise((done) => {
    if (document.hidden) done();
    requestAnimationFrame(() => window.setTimeout(done));
    window.setTimeout(done, 100);
  });
}

// What the first page needs is on its way while the document is painted.
const app = createApp(App).use(router);
void loadCatalogue();
void Promise.all([loadTexts(), painted()]).then(() => app.mount("#app"));
