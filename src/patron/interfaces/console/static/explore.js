// Draws a chart of Explore again in the browser, on demand: values at the pointer, and the customers behind a mark.
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
