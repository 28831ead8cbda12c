import { createApp } from "vue";

import App from "./App.vue";
import { router } from "./app/router";
import "./theme/tokens.css";

createApp(App).use(router).mount("#app");
