// Swaps one part of a page instead of loading all of it. Without this script every link and form works as usual.
"use strict";

let running = null;

async function swap(url, part, push) {
  const target = document.getElementById(part);
  if (running) running.abort();
  running = new AbortController();
  target.classList.add("is-loading");
  try {
    const answer = await fetch(url, { headers: { "X-Part": part }, signal: running.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    target.outerHTML = await answer.text();
    if (push) history.pushState({ part }, "", url);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  }
}

function urlOf(form) {
  const asked = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...asked]) if (!value) asked.delete(name);
  return `${form.getAttribute("action")}?${asked}`;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  swap(link.href, link.dataset.swap, true);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-swap]")) return;
  event.preventDefault();
  swap(urlOf(event.target), event.target.dataset.swap, true);
});

let typing = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => swap(urlOf(form), form.dataset.swap, true), 200);
});

window.addEventListener("popstate", () => location.reload());
