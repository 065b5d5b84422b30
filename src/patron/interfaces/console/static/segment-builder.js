// A rule of a segment as rows that read like sentences. Without this script the rule is a text area with JSON.
"use strict";

const make = (tag, values = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
};
const option = (value, label, chosen) => make("option", { value, selected: String(value) === String(chosen) }, label);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

// The tree that is edited: groups and leaves, each of which may exclude.
function nodeOf(rule) {
  if ("not" in rule) {
    const node = nodeOf(rule.not);
    return { ...node, not: !node.not };
  }
  const how = "all" in rule ? "all" : "any" in rule ? "any" : "";
  return how ? { how, not: false, parts: rule[how].map(nodeOf) } : { not: false, rule };
}

function ruleOf(node) {
  const rule = node.parts ? { [node.how]: node.parts.map(ruleOf) } : node.rule;
  return node.not ? { not: rule } : rule;
}

class SegmentBuilder extends HTMLElement {
  static formAssociated = true;

  constructor() {
    super();
    this.internals = this.attachInternals();
  }

  connectedCallback() {
    if (this.root) return;
    this.area = this.querySelector("textarea");
    this.o = JSON.parse((this.querySelector("script") || document.getElementById("rule-options")).textContent);
    this.t = this.o.texts;
    this.items = new Map(this.o.groups.flatMap((group) => group.items.map((item) => [item.id, item])));
    let node;
    try {
      node = nodeOf(JSON.parse(this.area.value || '{"all": []}'));
    } catch {
      return;
    }
    this.root = node.parts && !node.not ? node : { how: "all", not: false, parts: [node] };
    this.internals.setFormValue(this.area.value);
    this.area.disabled = true;
    this.area.parentElement.hidden = true;
    this.view = make("div", { class: "rule-view" });
    this.result = make("output", { class: "rule-count", "aria-live": "polite" });
    this.append(this.view, this.result);
    this.draw();
    this.count();
  }

  get value() {
    return this.root ? ruleOf(this.root) : null;
  }

  changed(redraw) {
    this.internals.setFormValue(JSON.stringify(this.value));
    this.dispatchEvent(new Event("change", { bubbles: true }));
    if (redraw) this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.count(), 350);
  }

  // Draws anew, with the focus on a part.
  redraw(node) {
    this.focusOn = this.idOf(node);
    this.changed(true);
  }

  draw() {
    this.view.replaceChildren(this.group(this.root, null));
    if (this.focusOn) {
      this.view.querySelector(`[data-node="${this.focusOn}"] :is(select, button)`)?.focus();
      this.focusOn = "";
    }
  }

  idOf(node) {
    this.ids ??= new WeakMap();
    this.last ??= 0;
    if (!this.ids.has(node)) this.ids.set(node, String(++this.last));
    return this.ids.get(node);
  }

  select(label, options, chosen, act, kind = "") {
    const parts = options.map(([value, text]) => option(value, text, chosen));
    return make("select", { "aria-label": label, class: kind, on: { change: (event) => act(event.target.value) } }, ...parts);
  }

  button(text, act, kind, label) {
    return make("button", { type: "button", class: kind, "aria-label": label, on: { click: act } }, text);
  }

  group(node, parent) {
    const { t } = this;
    const body = make("div", { class: "rule-parts" });
    node.parts.forEach((part, place) => {
      if (place) body.append(make("span", { class: "rule-joint" }, node.how === "all" ? t.and : t.or));
      body.append(part.parts ? this.group(part, node) : this.row(part, node));
    });
    if (!parent && !node.parts.length) body.append(make("p", { class: "note" }, t.everybody));
    const add = (part) => {
      node.parts.push(part);
      this.redraw(part);
    };
    const first = () => ({ not: false, rule: this.fresh(this.o.groups[0].items[0].id) });
    return make(
      "div",
      { class: node.not ? "rule-group is-excluded" : "rule-group", role: "group", "aria-label": t.group, "data-node": this.idOf(node) },
      make(
        "div",
        { class: "rule-head" },
        parent && this.include(node),
        this.select(t.how, [["all", t.all], ["any", t.any]], node.how, (value) => {
          node.how = value;
          this.changed(true);
        }),
        parent && this.button("×", () => this.remove(node, parent), "quiet small", t.remove_group),
      ),
      body,
      make(
        "div",
        { class: "rule-add" },
        this.button(t.add, () => add(first()), "secondary small"),
        this.button(t.add_group, () => add({ how: "any", not: false, parts: [first()] }), "quiet small"),
      ),
    );
  }

  include(node) {
    const { t } = this;
    return this.select(t.include, [["", t.match], ["not", t.exclude]], node.not ? "not" : "", (value) => {
      node.not = value === "not";
      this.redraw(node);
    }, "rule-include");
  }

  remove(node, parent) {
    parent.parts.splice(parent.parts.indexOf(node), 1);
    this.redraw(parent);
  }

  // The first form of a condition about something.
  fresh(id) {
    const item = this.items.get(id) || {}, name = id.slice(id.indexOf(":") + 1);
    if (id === "bought") return { bought: { category: [] }, within_days: 90 };
    if (id === "event") return { event: "Order Completed", within_days: 30 };
    if (id === "consent") return { consent: this.o.purposes[0][0], is: "granted" };
    if (id === "tag") return { tag: [] };
    if (id === "segment") return { segment: this.o.segments[0] };
    if (id.startsWith("trait:")) return { trait: name, op: "in", value: [] };
    if (item.kind === "flag") return { field: name, op: "==", value: true };
    if (item.kind === "text") return { field: name, op: "in", value: [] };
    return { field: name, op: ">=", value: item.unit === "0 to 1" ? 0.5 : item.unit === "cents" ? 10000 : 1 };
  }

  subjectOf(rule) {
    if ("field" in rule) return `field:${rule.field}`;
    if ("trait" in rule) return `trait:${rule.trait}`;
    return ["bought", "event", "consent", "tag", "segment"].find((kind) => kind in rule) || "";
  }

  row(node, parent) {
    const { t } = this, subject = this.subjectOf(node.rule);
    const chooser = make("select", {
      "aria-label": t.subject,
      class: "rule-subject",
      on: {
        change: (event) => {
          node.rule = this.fresh(event.target.value);
          this.redraw(node);
        },
      },
    });
    if (!this.items.has(subject)) chooser.append(option(subject, subject.slice(subject.indexOf(":") + 1), subject));
    for (const group of this.o.groups)
      chooser.append(make("optgroup", { label: group.label }, ...group.items.map((item) => option(item.id, item.label, subject))));
    return make(
      "div",
      { class: node.not ? "rule-row is-excluded" : "rule-row", role: "group", "aria-label": this.items.get(subject)?.label, "data-node": this.idOf(node) },
      this.include(node),
      chooser,
      ...this.details(node, subject),
      this.button("×", () => this.remove(node, parent), "quiet small", t.remove),
    );
  }

  details(node, subject) {
    const { rule } = node, { t, o } = this;
    if (subject === "segment") return [this.select(t.value, o.segments.map((name) => [name, name]), rule.segment, (value) => this.put(node, { segment: value }))];
    if (subject === "consent")
      return [
        this.select(t.value, o.purposes, rule.consent, (value) => this.put(node, { consent: value })),
        this.select(t.operator, o.answers, rule.is, (value) => this.put(node, { is: value })),
      ];
    if (subject === "event")
      return [this.text(rule.event, o.events, (value) => this.put(node, { event: value })), ...this.window(node)];
    if (subject === "bought") return this.bought(node);
    if (subject === "tag") return [this.listed(rule.tag, subject, (value) => this.put(node, { tag: value }, true))];
    const item = this.items.get(subject) || { kind: "trait" };
    const op = rule.op === "is_null" && rule.value === false ? "is_known" : rule.op;
    const chooser = this.select(t.operator, o.operators[item.kind], op, (value) => {
      const set = (values) => this.put(node, values, true);
      const [one] = [[rule.value].flat().find((value) => typeof value !== "boolean") ?? this.fresh(subject).value].flat();
      if (value === "is_null" || value === "is_known") set({ op: "is_null", value: value === "is_null" });
      else if (value === "between") set({ op: value, value: [one, one] });
      else if (value === "in" || value === "not_in") set({ op: value, value: (one ?? "") === "" ? [] : [one] });
      else set({ op: value, value: item.kind === "flag" ? true : one ?? "" });
    });
    return [chooser, ...this.values(node, item)];
  }

  put(node, values, redraw) {
    Object.assign(node.rule, values);
    this.changed(redraw);
  }

  values(node, item) {
    const { rule } = node, { t, o } = this;
    if (rule.op === "is_null") return [];
    if (item.kind === "flag") return [this.select(t.value, o.flags, rule.value, (value) => this.put(node, { value: value === "true" }))];
    if (rule.op === "in" || rule.op === "not_in") return [this.chips(rule.value, item.choices || [], (value) => this.put(node, { value }, true))];
    const isNumber = item.kind === "number" || (item.kind === "trait" && !["==", "!="].includes(rule.op));
    if (rule.op === "between")
      return [0, 1].map((end) =>
        this.number(rule.value[end], item.unit, (value) => {
          rule.value[end] = value;
          this.changed();
        }, end ? t.value_to : t.value),
      );
    if (isNumber) return [this.number(rule.value, item.unit, (value) => this.put(node, { value }))];
    if (item.choices?.length) return [this.select(t.value, [["", ""], ...item.choices], rule.value, (value) => this.put(node, { value }))];
    return [this.text(rule.value, [], (value) => this.put(node, { value }))];
  }

  number(value, unit, act, label = this.t.value) {
    const scale = unit === "cents" ? 100 : unit === "0 to 1" ? 0.01 : 1;
    const shown = typeof value === "number" ? Number((value / scale).toFixed(6)) : "";
    const read = (event) => {
      const number = event.target.valueAsNumber;
      if (!Number.isNaN(number)) act(unit === "cents" ? Math.round(number * 100) : Number((number * scale).toFixed(8)));
    };
    const input = make("input", { type: "number", step: "any", class: "rule-number", "aria-label": label, value: shown, on: { input: read } });
    const sign = this.o.units[unit];
    return make("span", { class: "rule-unit" }, ...(unit === "cents" ? [sign, input] : [input, sign]));
  }

  text(value, suggestions, act) {
    const id = `values-${this.lists = (this.lists ?? 0) + 1}`;
    const input = make("input", { type: "text", value, "aria-label": this.t.value, list: suggestions.length ? id : undefined, on: { change: (event) => act(event.target.value) } });
    const list = suggestions.length ? make("datalist", { id }, ...suggestions.map((one) => make("option", { value: one }))) : null;
    return make("span", { class: "rule-unit" }, input, list);
  }

  // Several values: those there are, each with a button that takes it out, and a control that adds one.
  chips(values, choices, act) {
    const { t } = this, labels = new Map(choices), left = choices.filter(([value]) => !values.includes(value));
    const chip = (value, name = labels.get(value) ?? String(value)) =>
      make("span", { class: "chip" }, name, this.button("×", () => act(values.filter((one) => one !== value)), "", fill(t.take_value, { name })));
    const add = (value) => value && !values.includes(value) && act([...values, value]);
    const adder =
      choices.length && choices.length < 100
        ? left.length ? this.select(t.add_value, [["", t.add_value], ...left], "", add) : null
        : this.text("", left.map(([value]) => value), add);
    if (adder?.localName === "span") adder.firstChild.placeholder = t.add_value;
    return make("span", { class: "chips" }, ...values.map((one) => chip(one)), adder);
  }

  listed(values, kind, act) {
    return this.chips([values].flat(), this.o.values[kind].map((one) => [one, one]), act);
  }

  bought(node) {
    const { rule } = node, { t } = this, kinds = Object.keys(rule.bought);
    return [
      ...kinds.flatMap((kind) => [
        this.select(t.kind, ["category", "brand", "product"].map((one) => [one, t[one]]), kind, (value) => {
          const rest = { ...rule.bought };
          delete rest[kind];
          this.put(node, { bought: { ...rest, [value]: [] } }, true);
        }),
        this.listed(rule.bought[kind], kind, (value) => this.put(node, { bought: { ...rule.bought, [kind]: value } }, true)),
      ]),
      ...this.window(node),
    ];
  }

  window(node) {
    return ["within_days", "least"].map((name) => {
      const text = name === "least" ? this.t.least : this.t.within, [before, after] = text.split("…");
      const act = (event) => {
        const number = event.target.valueAsNumber;
        if (number >= 1) node.rule[name] = Math.round(number);
        else delete node.rule[name];
        this.changed();
      };
      const input = make("input", { type: "number", min: 1, class: "rule-small", "aria-label": text, value: node.rule[name] ?? "", on: { input: act } });
      return make("span", { class: "rule-unit" }, before, input, after);
    });
  }

  async count() {
    const url = this.getAttribute("count"), { t } = this;
    if (!url || !this.root) return;
    this.running?.abort();
    this.running = new AbortController();
    this.result.textContent ||= t.counting;
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": this.getAttribute("csrf") || "" },
        body: JSON.stringify({ rule: this.value, with_overlaps: true }),
        signal: this.running.signal,
      });
      if (!answer.ok) throw new Error();
      this.show(await answer.json());
    } catch (error) {
      if (error.name === "AbortError") return;
      this.result.textContent = t.failed;
    }
  }

  show({ count, share, expected_cents: cents, overlaps }) {
    const { t, o } = this, number = new Intl.NumberFormat(o.locale);
    const percent = new Intl.NumberFormat(o.locale, { style: "percent", maximumFractionDigits: 1 });
    const money = new Intl.NumberFormat(o.locale, { style: "currency", currency: o.currency, maximumFractionDigits: 0 });
    const text = fill(cents === null ? t.count_alone : t.count, { count: number.format(count), share: percent.format(share), money: money.format(cents / 100) });
    const others = overlaps.filter((one) => one.name !== this.getAttribute("but")).slice(0, 3).map((one) => `${one.name} ${percent.format(one.share)}`);
    this.result.replaceChildren(make("b", {}, text));
    if (others.length) this.result.append(make("span", {}, fill(t.overlap, { list: others.join(" · ") })));
  }
}

customElements.define("segment-builder", SegmentBuilder);
