"use strict";
// Figures by night and by day, as the reader has the page.
document.addEventListener("DOMContentLoaded", () => {
  const day = Object.fromEntries(Object.entries(NIGHT).map(([light, dark]) => [dark, light]));
  const system = matchMedia("(prefers-color-scheme: dark)");
  let isNight = false;
  function shade() {
    const wanted = document.body.dataset.theme;
    const night = wanted === "dark" || (wanted !== "light" && system.matches);
    if (night !== isNight) for (const doc of Bokeh.documents) paint(doc, night ? NIGHT : day);
    isNight = night;
  }
  (function wait() {
    const views = document.querySelectorAll("figure.view [data-root-id]");
    if ([...views].some((view) => !Bokeh.index.find_one_by_id(view.dataset.rootId))) return void setTimeout(wait, 50);
    shade();
    system.addEventListener("change", shade);
    new MutationObserver(shade).observe(document.body, { attributeFilter: ["data-theme"] });
  })();
});
