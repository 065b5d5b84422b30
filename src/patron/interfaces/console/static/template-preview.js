// Shows a message as it is read while one writes it: the form's own preview button, pressed after each pause.
"use strict";

function preview(part) {
  const button = part.querySelector("button[name=preview]");
  if (part.closest("details").open && !document.querySelector("dialog[open]")) button.form.requestSubmit(button);
}

const pauses = new WeakMap();
document.addEventListener("input", (event) => {
  const part = event.target.closest(".template");
  if (!part) return;
  clearTimeout(pauses.get(part));
  pauses.set(part, setTimeout(preview, 700, part));
});
document.addEventListener("toggle", (event) => {
  const part = event.target.open && event.target.querySelector(":scope > .template");
  if (part) preview(part);
}, true);
// why one after the other: a form that is sent again at once forgets the first time
[...document.querySelectorAll("details[open] > .template")].forEach((part, place) => setTimeout(preview, 300 * place, part));
