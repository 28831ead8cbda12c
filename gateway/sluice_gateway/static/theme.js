"use strict";

// Before the first paint, so that the page never flashes in the other theme or announces the other language.
(() => {
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const chosen = stored("sluice.theme");
    document.documentElement.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
  };
  show();
  dark.addEventListener("change", show);
  const language = stored("sluice.language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh-TW" : "en");
  document.documentElement.lang = language === "zh-TW" ? "zh-Hant-TW" : "en";
})();
