// Swaps one part of a page instead of loading all of it, and adds keys. Without this script every link and form works as usual.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
let running = null;

// Which width of a chart the next page needs: it then draws one instead of two.
const telephone = matchMedia("(max-width: 640px)");
const keepScreen = () => { document.cookie = `screen=${telephone.matches ? "narrow" : "wide"}; path=/; max-age=31536000; samesite=lax`; };
telephone.addEventListener("change", keepScreen);
keepScreen();

function say(text) {
  const place = document.getElementById("announcer");
  if (place.textContent !== text) place.textContent = text;
}

// What had the focus in a part, and what stands for it once the part is there anew.
function focused(part) {
  const at = document.activeElement;
  if (!part.contains(at) || at === part) return "";
  if (at.id) return `#${CSS.escape(at.id)}`;
  for (const name of ["name", "href", "aria-label"]) {
    const value = at.getAttribute(name);
    if (value) return `${at.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return "";
}

async function swap(url, part, push, options = {}) {
  const target = document.getElementById(part);
  if (!target) return location.assign(url);
  running?.abort();
  running = new AbortController();
  target.classList.add("is-loading");
  target.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { ...options, headers: { "X-Part": part }, signal: running.signal });
    const text = await answer.text();
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById(part);
    // why: a form that is refused says why in its part
    if (!fresh || !(answer.ok || options.body)) throw new Error(String(answer.status));
    const back = focused(target);
    target.replaceWith(fresh);
    if (push) history.pushState({ part }, "", url);
    if (back) (fresh.querySelector(back) || fresh.querySelector("a, button, input") || fresh).focus();
    prepare(fresh);
    say(fresh.querySelector("[data-say], .count, [role=status]")?.textContent.trim() || document.title);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (options.body) location.reload();
    else location.assign(url);
  }
}

function urlOf(form) {
  const values = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...values]) if (!value) values.delete(name, value);
  return `${form.getAttribute("action")}?${values}`;
}

// Rows that are picked: how many, and whether anything can be done with them.
function count(form) {
  const boxes = all("[data-pick]", form), picked = boxes.filter((box) => box.checked).length;
  form.classList.toggle("has-picked", picked > 0);
  for (const output of all("output", form)) output.textContent = (output.dataset.text || "{n}").replace("{n}", picked);
  for (const box of all("[data-pick-all]", form)) {
    box.checked = picked > 0 && picked === boxes.length;
    box.indeterminate = picked > 0 && picked < boxes.length;
  }
}

// A part that says how far some work is comes again until the work is over.
function poll() {
  const part = document.querySelector("[data-poll]");
  if (part) setTimeout(() => part.isConnected && swap(location.href, part.id, false), 1200);
}

function prepare(within) {
  poll();
  for (const form of all("form[data-bulk]", within)) {
    form.classList.add("is-scripted");
    count(form);
  }
}

function closeMenus(but) {
  for (const menu of all("details.menu[open]")) if (menu !== but) menu.open = false;
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
  const opener = event.target.closest("[commandfor]");
  if (opener && !("command" in opener)) document.getElementById(opener.getAttribute("commandfor"))?.showModal();
  const link = event.target.closest("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  swap(link.href, link.dataset.swap, true);
});

document.addEventListener("submit", (event) => {
  const form = event.target, by = event.submitter, question = by?.dataset.confirm || form.dataset.confirm;
  if (question && !form.confirmed) {
    event.preventDefault();
    const dialog = document.getElementById("confirm");
    dialog.querySelector("p").textContent = question;
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue !== "yes") return;
      form.confirmed = true;
      form.requestSubmit(by);
      form.confirmed = false;
    };
    dialog.showModal();
    return;
  }
  if (!form.matches("form[data-swap]")) return;
  event.preventDefault();
  if (form.method === "post") {
    const body = new URLSearchParams(new FormData(form, by));
    swap(form.getAttribute("action"), form.dataset.swap, false, { method: "POST", body });
  } else swap(urlOf(form), form.dataset.swap, true);
});

let typing = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form || form.method === "post") return;
  clearTimeout(typing);
  typing = setTimeout(() => swap(urlOf(form), form.dataset.swap, true), 200);
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-bulk]");
  if (form && event.target.matches("[data-pick-all]"))
    for (const box of all("[data-pick]", form)) box.checked = event.target.checked;
  if (form) count(form);
  if (event.target.matches("[data-keys]")) localStorage.setItem("keys", event.target.checked ? "on" : "off");
});

// Keys: / finds a customer, g and a letter opens a page, ? lists the keys, up and down walk the rows of a table.
let gone = 0;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.activeElement.closest("details.menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input, select, textarea, dialog, [contenteditable]")) return;
  const row = event.target.closest("tbody tr");
  if (row && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
    const link = next?.querySelector("a");
    if (link) {
      event.preventDefault();
      link.focus();
    }
  }
  if (localStorage.getItem("keys") === "off" && event.key !== "?") return;
  const page = event.timeStamp - gone < 1500 && document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`);
  gone = event.key === "g" ? event.timeStamp : 0;
  if (page) location.assign(page.href);
  else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("find")?.focus();
  } else if (event.key === "?") {
    const dialog = document.getElementById("keys");
    dialog.querySelector("[data-keys]").checked = localStorage.getItem("keys") !== "off";
    dialog.showModal();
  }
});

window.addEventListener("popstate", () => location.reload());
prepare(document);
