// Explore: draws a chart again in the browser, on demand, with values at the pointer; stops a question that runs.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-vega]");
  if (!button) return;
  const holder = button.closest("[data-chart]"), place = holder.querySelector(".chart-live"), tip = holder.querySelector("output");
  button.disabled = true;
  holder.setAttribute("aria-busy", "true");
  try {
    const { default: embed } = await import(button.dataset.vega);
    place.hidden = false;
    const spec = { ...JSON.parse(holder.dataset.chart), width: Math.min(place.clientWidth, 940) };
    const tooltip = (_, moved, item, value) => { tip.textContent = value || ""; };
    const { view } = await embed(place, spec, { ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip });
    view.addEventListener("click", (_, item) => item?.datum?.to && location.assign(item.datum.to));
    place.querySelector("svg").classList.add("chart");
    for (const drawn of holder.querySelectorAll(".drawn-wide, .drawn-narrow")) drawn.hidden = true;
    button.hidden = true;
    holder.dataset.live = "";
  } catch {
    place.hidden = true;
    button.disabled = false;
  }
  holder.removeAttribute("aria-busy");
});

// While a question is answered its form shows a button that ends it on the server; the page then says so.
document.addEventListener("submit", (event) => {
  for (const stop of event.target.querySelectorAll("[data-stop]")) stop.hidden = false;
});
document.addEventListener("click", (event) => {
  const stop = event.target.closest("[data-stop]");
  if (stop) fetch(stop.dataset.stop, { method: "POST", headers: { "X-CSRF-Token": stop.dataset.csrf } });
});
window.addEventListener("pageshow", () => {
  for (const stop of document.querySelectorAll("[data-stop]")) stop.hidden = true;
});
