// A part of a page that is fetched anew every few seconds while one looks at it, until it asks for that no more.
"use strict";

async function refresh() {
  const part = document.querySelector("[data-live]");
  if (!part) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { "X-Part": part.id } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (answer.ok && fresh && !part.contains(document.activeElement)) part.replaceWith(fresh);
    } catch {
      // the next time may work
    }
  }
  setTimeout(refresh, 1000 * (Number(part.dataset.live) || 5));
}

setTimeout(refresh, 5000);
