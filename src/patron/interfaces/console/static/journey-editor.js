// The steps of a journey as a list of forms. Without this script the steps are a text area with JSON.
"use strict";

const node = (tag, values = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
const KINDS = ["wait", "wait_for", "branch", "send", "exit"];
const DURATION = ["days", "hours", "minutes"];
let places = 0;

class JourneyEditor extends HTMLElement {
  static formAssociated = true;

  constructor() {
    super();
    this.internals = this.attachInternals();
  }

  connectedCallback() {
    if (this.steps) return;
    this.area = this.querySelector("textarea");
    this.o = JSON.parse(this.querySelector("script").textContent);
    this.t = this.o.texts;
    let read;
    try {
      read = JSON.parse(this.area.value || "[]");
    } catch {
      return;
    }
    const ids = new Map(read.map((step, place) => [step.id || String(place + 1), step]));
    for (const step of read)
      for (const way of ["then", "otherwise"]) if (step[way] && step[way] !== "end") step[way] = ids.get(step[way]) || "";
    this.steps = read;
    this.internals.setFormValue(this.area.value);
    this.area.disabled = true;
    this.area.closest(".field").hidden = true;
    this.list = node("ol", { class: "step-editor" });
    this.append(this.list, node("div", { class: "actions" }, this.button(this.t.add, () => this.add(), "secondary")));
    this.draw();
  }

  // Steps as a file has them: a step that another one leads to needs an id.
  get value() {
    const leads = new Set(this.steps.flatMap((step) => [step.then, step.otherwise]).filter((one) => typeof one === "object"));
    const used = new Set(this.steps.map((step) => step.id).filter(Boolean));
    for (const step of leads) {
      if (step.id || !this.steps.includes(step)) continue;
      let number = 1;
      while (used.has(`step_${number}`)) number += 1;
      step.id = `step_${number}`;
      used.add(step.id);
    }
    return this.steps.map((step, place) => {
      const plain = { ...step };
      for (const way of ["then", "otherwise"]) {
        if (typeof plain[way] !== "object") continue;
        plain[way] = this.steps.indexOf(plain[way]) > place ? plain[way].id : "";
      }
      for (const unit of DURATION) if (plain[unit] === 0) delete plain[unit];
      return plain;
    });
  }

  changed(redraw) {
    this.internals.setFormValue(JSON.stringify(this.value));
    if (redraw) this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.steps.map((step, place) => this.card(step, place)));
    if (this.focusOn !== undefined) this.list.children[this.focusOn]?.querySelector("select")?.focus();
    this.focusOn = undefined;
  }

  add() {
    this.steps.push(this.fresh("wait"));
    this.focusOn = this.steps.length - 1;
    this.changed(true);
  }

  fresh(kind, id = "") {
    const step = id ? { do: kind, id } : { do: kind };
    if (kind === "wait") step.days = 1;
    if (kind === "wait_for") Object.assign(step, { event: "Order Completed", days: 7, then: "end" });
    if (kind === "branch") step.rule = { all: [{ field: "value_decile", op: ">=", value: 8 }] };
    if (kind === "send") step.template = { [this.o.locale]: { ...this.o.starter } };
    return step;
  }

  move(place, by) {
    const [step] = this.steps.splice(place, 1);
    this.steps.splice(place + by, 0, step);
    this.focusOn = place + by;
    this.changed(true);
  }

  button(text, act, kind, label) {
    return node("button", { type: "button", class: kind, "aria-label": label, on: { click: act } }, text);
  }

  labelled(label, control, kind = "field") {
    const id = `step-${(places += 1)}`;
    control.id = id;
    return node("div", { class: kind }, node("label", { for: id }, label), control);
  }

  select(label, options, chosen, act) {
    const parts = options.map(([value, text]) => node("option", { value, selected: value === chosen }, text));
    return this.labelled(label, node("select", { on: { change: (event) => act(event.target.value) } }, ...parts));
  }

  input(label, value, act, values = {}) {
    return this.labelled(label, node("input", { value: value ?? "", ...values, on: { input: (event) => act(event.target) } }));
  }

  card(step, place) {
    const { t } = this, number = place + 1, named = (text) => text.replace("{number}", number);
    const kinds = KINDS.map((kind) => [kind, t[kind]]);
    const part = node(
      "div",
      { role: "group", "aria-label": named(t.step) },
      node(
        "div",
        { class: "step-head" },
        node("span", { class: "step-number" }, String(number)),
        this.select(t.kind, kinds, step.do, (kind) => {
          const fresh = this.fresh(kind, step.id);
          for (const name of Object.keys(step)) delete step[name];
          Object.assign(step, fresh);
          this.focusOn = place;
          this.changed(true);
        }),
        node(
          "span",
          { class: "step-buttons" },
          place > 0 ? this.button("↑", () => this.move(place, -1), "quiet small", named(t.up)) : null,
          number < this.steps.length ? this.button("↓", () => this.move(place, 1), "quiet small", named(t.down)) : null,
          this.button("×", () => {
            this.steps.splice(place, 1);
            this.focusOn = Math.max(place - 1, 0);
            this.changed(true);
          }, "quiet small", named(t.remove)),
        ),
      ),
      ...this.fields(step, place),
    );
    return node("li", { class: `do-${step.do}` }, part);
  }

  fields(step, place) {
    const { t } = this;
    if (step.do === "wait") return [node("div", { class: "fields wide" }, ...this.duration(step))];
    if (step.do === "wait_for")
      return [
        node("div", { class: "fields wide" }, this.input(t.event, step.event, (input) => this.put(step, "event", input.value), { list: "events", autocomplete: "off" }), ...this.duration(step)),
        this.ways(step, place, t.then),
      ];
    if (step.do === "branch") return [this.rule(step), this.ways(step, place, t.then_rule)];
    return step.do === "send" ? this.message(step, place) : [];
  }

  put(step, name, value) {
    if (value === "" || value === undefined) delete step[name];
    else step[name] = value;
    this.changed();
  }

  duration(step) {
    return DURATION.map((unit) =>
      this.input(this.t[unit], step[unit] || "", (input) => this.put(step, unit, Number.isNaN(input.valueAsNumber) ? "" : input.valueAsNumber), { type: "number", min: 0, step: "any" }),
    );
  }

  // Where it goes on: a later step, the next one, or the end.
  ways(step, place, label) {
    const { t } = this, later = this.steps.slice(place + 1);
    const options = [["", t.next], ["end", t.end], ...later.slice(1).map((_, at) => [String(at + 1), t.step.replace("{number}", place + at + 3)])];
    const way = (name, text) => {
      const at = later.indexOf(step[name]);
      const chosen = step[name] === "end" ? "end" : at > 0 ? String(at) : "";
      return this.select(text, options, chosen, (value) => this.put(step, name, value === "end" || !value ? value : later[Number(value)]));
    };
    return node("div", { class: "fields wide" }, way("then", label), way("otherwise", t.otherwise));
  }

  rule(step) {
    const builder = node("segment-builder", {
      count: "/api/segments/count",
      csrf: this.closest("form").elements.csrf?.value,
      on: {
        change: (event) => {
          if (builder.value && event.target === builder) this.put(step, "rule", builder.value);
        },
      },
    });
    builder.append(node("div", { class: "field" }, node("textarea", { "aria-label": this.t.rule }, JSON.stringify(step.rule))));
    return node("fieldset", {}, node("legend", { class: "small" }, this.t.rule), builder);
  }

  message(step, place) {
    const { t, o } = this;
    const settings = node(
      "div",
      { class: "fields wide" },
      this.select(t.offer, o.offers, step.offer || "", (value) => this.put(step, "offer", value)),
      this.select(t.channel, o.channels, step.channel || "", (value) => this.put(step, "channel", value)),
      this.input(t.within_hours, step.within_hours ?? 24, (input) => this.put(step, "within_hours", input.valueAsNumber || ""), { type: "number", min: 0, step: "any" }),
    );
    const languages = [...o.languages, ...Object.keys(step.template).filter((one) => !o.languages.some(([code]) => code === one)).map((one) => [one, one])];
    return [settings, ...languages.map(([code, name]) => this.text(step, place, code, name))];
  }

  text(step, place, code, name) {
    const { t, o } = this, has = step.template[code], frame = `preview-${place}-${code}`;
    const put = (part, value) => {
      const template = { subject: "", format: "text", body: "", ...step.template[code], [part]: value };
      if (template.subject || template.body) step.template[code] = template;
      else delete step.template[code];
      this.changed();
    };
    const body = node("textarea", { rows: 10, class: "code", spellcheck: "false", on: { input: (event) => put("body", event.target.value) } });
    body.value = has?.body ?? "";
    return node(
      "details",
      { class: "language", open: Boolean(has) },
      node("summary", {}, name),
      node(
        "div",
        { class: "template" },
        node(
          "div",
          { class: "fields" },
          this.input(t.subject, has?.subject, (input) => put("subject", input.value), { autocomplete: "off" }),
          this.select(t.format, o.formats, has?.format || "text", (value) => put("format", value)),
          this.labelled(t.body, body),
        ),
        node(
          "div",
          { class: "preview" },
          node("div", { class: "actions" }, node("button", { class: "secondary small", formaction: this.getAttribute("preview"), formtarget: frame, formnovalidate: true, name: "preview", value: `${place}:${code}` }, t.preview)),
          node("iframe", { name: frame, title: `${t.frame} (${name})` }),
        ),
      ),
    );
  }
}

customElements.define("journey-editor", JourneyEditor);

// Of what makes customers enter only the fields of the chosen kind show.
const kind = document.querySelector("select[name=kind]");
function showKind() {
  for (const part of document.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== kind.value;
}
if (kind) {
  kind.addEventListener("change", showKind);
  showKind();
}
