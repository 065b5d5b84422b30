// Values of a chart at the pointer, under a finger and by arrow keys: those of its table, in the reader's language.
"use strict";

const PICTURES = "[data-values]", MARKS = "[data-row], [data-value]", GAP = 14;
const marksOf = (picture) => [...picture.querySelectorAll(MARKS)];

// What a mark stands for: a row of the table, one cell of it, or a text of its own.
function facts(mark) {
  if (mark.dataset.value) return [[mark.dataset.value, ""]];
  const figure = mark.closest("figure"), table = figure.querySelector("table");
  const [row, cell] = mark.dataset.row.split(".").map(Number);
  const texts = (line) => [...line.cells].map((one) => one.textContent.trim());
  const heads = texts(table.tHead.rows[0]), values = texts(table.tBodies[0].rows[row]);
  if (cell) return [[values[0], ""], [`${figure.dataset.columns || ""} ${heads[cell]}`.trim(), values[cell]]];
  return values.map((value, place) => [heads[place], value]);
}

function hide(picture) {
  for (const tip of picture.querySelectorAll(".value-tip")) tip.hidden = true;
  picture.querySelector(".is-shown")?.classList.remove("is-shown");
}

function hideOthers(picture) {
  for (const other of document.querySelectorAll(PICTURES)) if (other !== picture) hide(other);
}

function show(picture, mark, x) {
  hideOthers(picture);
  let tip = picture.querySelector(".value-tip");
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "value-tip";
    tip.setAttribute("role", "status");
    picture.append(tip);
  }
  if (!mark.classList.contains("is-shown") || tip.hidden) {
    picture.querySelector(".is-shown")?.classList.remove("is-shown");
    mark.classList.add("is-shown");
    tip.replaceChildren(
      ...facts(mark).map(([name, value]) => {
        const line = document.createElement("p");
        line.append(name, ...(value ? [document.createElement("b")] : []));
        if (value) line.lastChild.textContent = value;
        return line;
      }),
    );
    tip.hidden = false;
  }
  const room = picture.getBoundingClientRect(), at = mark.getBoundingClientRect();
  const place = (x ?? at.x + at.width / 2) - room.x;
  const left = place + GAP + tip.offsetWidth > room.width ? place - GAP - tip.offsetWidth : place + GAP;
  tip.style.left = `${Math.max(0, Math.min(left, room.width - tip.offsetWidth))}px`;
  // why: what is lower than half the picture is a bar or a square, which the tip would hide
  const isTall = at.height > room.height / 2, below = at.bottom - room.y + GAP / 2;
  const top = isTall ? at.y - room.y : below + tip.offsetHeight > room.height ? at.y - room.y - GAP / 2 - tip.offsetHeight : below;
  tip.style.top = `${Math.max(0, top)}px`;
}

function nearest(picture, x, y) {
  let best, least = Infinity;
  for (const mark of marksOf(picture)) {
    const at = mark.getBoundingClientRect();
    const distance = Math.hypot(Math.max(at.left - x, x - at.right, 0), Math.max(at.top - y, y - at.bottom, 0));
    if (distance < least) [best, least] = [mark, distance];
  }
  return best;
}

function point(event) {
  const picture = event.target.closest?.(PICTURES), mark = picture && nearest(picture, event.clientX, event.clientY);
  if (mark) show(picture, mark, event.clientX);
  else if (!document.activeElement.matches(PICTURES)) hideOthers();
}

document.addEventListener("pointermove", point);
document.addEventListener("pointerdown", point);
document.addEventListener("focusin", (event) => {
  if (event.target.matches(PICTURES) && event.target.matches(":focus-visible")) show(event.target, marksOf(event.target)[0]);
});
document.addEventListener("focusout", (event) => event.target.matches?.(PICTURES) && hide(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideOthers();
  if (!event.target.matches?.(PICTURES) || event.ctrlKey || event.metaKey || event.altKey) return;
  const marks = marksOf(event.target), last = marks.length - 1;
  const at = marks.findIndex((mark) => mark.classList.contains("is-shown"));
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(event.target, marks[Math.max(0, Math.min(to, last))]);
});

// Pictures whose values can be shown take the focus, also those that come in with a part of the page.
function prepare() {
  for (const picture of document.querySelectorAll(PICTURES)) {
    if (picture.tabIndex === 0 || !picture.querySelector(MARKS)) continue;
    picture.tabIndex = 0;
    picture.setAttribute("role", "group");
    picture.setAttribute("aria-label", picture.dataset.values);
  }
}
new MutationObserver(prepare).observe(document.body, { childList: true, subtree: true });
prepare();
