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
[...document.querySelectorAll(".template")].forEach((part, place) => {
  part.closest("details").addEventListener("toggle", () => preview(part));
  setTimeout(preview, 300 * place, part); // why: a form that is sent again at once forgets the first time
});
