// Counts anew whom a message may go to when segment, channel, topic or offers of the form change.
"use strict";

const NAMES = { trigger_enters: "segment", trigger_segment: "segment", segment: "segment", run: "run", channel: "channel", topic: "topic", exclude: "exclude", offers: "offers", of: "campaign" };
const SEVERAL = ["exclude", "offers"];
let overtaken = new AbortController();

document.addEventListener("change", async (event) => {
  const form = event.target.form, part = document.getElementById("reach");
  if (!form || !part || !(event.target.name in NAMES)) return;
  const chosen = new URLSearchParams();
  for (const [field, name] of Object.entries(NAMES))
    for (const value of new FormData(form).getAll(field))
      if (value && (SEVERAL.includes(name) || !chosen.has(name))) chosen.append(name, value);
  overtaken.abort();
  overtaken = new AbortController();
  try {
    const answer = await fetch(`/campaigns/new?${chosen}`, { headers: { "X-Part": "reach" }, signal: overtaken.signal });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("reach");
    if (answer.ok && fresh) part.replaceChildren(...fresh.childNodes);
  } catch {
    // overtaken, or without a connection: the plan counts again
  }
});
