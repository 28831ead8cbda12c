import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

const gateway = process.env["GATEWAY_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  // Relative: the page finds its files under whatever prefix a proxy shows it.
  base: "./",
  plugins: [vue()],
  build: {
    outDir: process.env["WEB_OUT_DIR"] ?? "../sluice_gateway/static/app",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // A worker or an image as a data: URL would be refused by the page's content security policy.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800,
  },
  worker: { format: "es" },
  server: { proxy: { "/api": gateway, "/health": gateway, "/static": gateway, "/docs": gateway, "/openapi.json": gateway } },
  // A document and a thread of its own for each file cost five times what the tests do; those that need one say so.
  test: { environment: "node", isolate: false, pool: "threads", include: ["src/**/*.test.ts"] },
});
