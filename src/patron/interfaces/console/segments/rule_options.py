"""What the builder of rules offers: fields by group in the reader's words, values to choose from, and its own texts."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from patron.answers.segments.rule_choices import RuleChoices, rule_choices
from patron.answers.segments.saved_segments import SegmentNames, segment_names
from patron.interfaces.console.page_frame import Console
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.rule_texts import FORECAST_FIELDS, LIFECYCLE_FIELDS, OPERATOR_CODES, RuleTexts
from patron.interfaces.i18n.translations import Words
from patron.schema.errors import NoRunYet
from patron.segments.segment_rules import ANSWERS, SegmentField

GROUPS = ("forecasts", "lifecycle", "orders", "products", "activity", "declared", "other")
WORDS_OF_GROUPS = {
    "declared": ("declared",),
    "products": ("category", "categories", "brand", "product", "line"),
    "activity": ("search", "view", "click", "cart", "wishlist", "active", "activity", "message", "messages", "ad"),
    "orders": ("order", "orders", "paid", "refund", "refunded", "coupon", "discount", "discounted", "gross", "overdue"),
}
"""Words in names of features by the group that they are listed in; the first group with one of them counts."""
PURPOSES = ("marketing", "profiling", "analytics")
BUILDER_TEXTS = (
    *("match", "exclude", "all", "any", "and", "or", "group", "how", "include", "subject", "operator", "value"),
    *("value_to", "add", "add_group", "remove", "remove_group", "everybody", "add_value", "take_value", "within"),
    *("least", "kind", "product", "category", "brand", "counting", "count", "count_alone", "overlap", "failed"),
)


def rule_texts(console: Console, texts: Words, names: SegmentNames) -> RuleTexts:
    """Writes rules in the reader's language."""
    return RuleTexts(
        texts, console.formats(texts), {field_.name: field_.unit for field_ in names.fields if field_.unit}
    )


def group_of(name: str) -> str:
    """Group in which a field is listed."""
    if name.startswith(FORECAST_FIELDS) and "view" not in name:
        return "forecasts"
    if name in {*LIFECYCLE_FIELDS, "is_order_due"}:
        return "lifecycle"
    words = name.split("_")
    return next((group for group, some in WORDS_OF_GROUPS.items() if any(one in words for one in some)), "other")


def builder_options(console: Console, texts: Words, *, only: pa.Table | None = None) -> dict[str, Any]:
    """All that the builder needs, as JSON; `only` offers tags of these customers."""
    shop = console.answers.shop
    names = segment_names(shop, only=only)
    try:
        choices = console.answers.cached("rule choices", lambda: rule_choices(shop))
    except NoRunYet:
        choices = RuleChoices({}, (), ())
    writer = rule_texts(console, texts, names)
    return {
        "groups": list(_groups(names, choices, writer)),
        "events": names.events,
        "segments": names.segments,
        "purposes": [[one, texts.code("purpose", one)] for one in (*PURPOSES, *shop.policy.topics)],
        "answers": [[answer, texts(f"rule.consent.{answer}")] for answer in ANSWERS],
        "values": {"category": choices.categories, "brand": choices.brands, "product": (), "tag": names.tags},
        "operators": _operators(texts),
        "flags": [[True, texts("rule.yes")], [False, texts("rule.no")]],
        "texts": {code: texts(f"builder.{code}") for code in BUILDER_TEXTS if code not in {"count", "count_alone"}}
        | {code: texts.texts[f"builder.{code}"] for code in ("count", "count_alone", "overlap", "take_value")},
        "units": {"cents": _currency_sign(console.formats(texts)), "0 to 1": "%", "days": texts("builder.unit.days")},
        "locale": texts.html_language,
        "currency": shop.settings.shop.currency,
    }


def _groups(names: SegmentNames, choices: RuleChoices, writer: RuleTexts) -> Iterator[dict[str, Any]]:
    texts = writer.texts
    listed: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for field_ in names.fields:
        listed[group_of(field_.name)].append(_field(field_, choices.fields, writer))
    history = [
        {"id": kind, "label": texts(f"builder.subject.{kind}")} for kind in ("bought", "event", "consent", "tag")
    ]
    history += [{"id": "segment", "label": texts("builder.subject.segment")}] if names.segments else []
    for group in GROUPS[:2]:
        yield {"label": texts(f"builder.group.{group}"), "items": listed[group]}
    yield {"label": texts("builder.group.history"), "items": history}
    for group in GROUPS[2:]:
        items = sorted(listed[group], key=lambda item: item["label"])
        if items:
            yield {"label": texts(f"builder.group.{group}"), "items": items}
    traits = [{"id": f"trait:{name}", "label": texts.code("trait", name), "kind": "trait"} for name in names.traits]
    if traits:
        yield {"label": texts("builder.group.traits"), "items": traits}


def _field(one: SegmentField, choices: Mapping[str, tuple[str, ...]], writer: RuleTexts) -> dict[str, Any]:
    item: dict[str, Any] = {"id": f"field:{one.name}", "label": writer.field_name(one.name), "kind": one.kind}
    if one.unit:
        item["unit"] = one.unit
    if one.kind == "text":
        item["choices"] = [[value, writer.choice(one.name, value)] for value in choices.get(one.name, one.choices)]
    return item


def _operators(texts: Words) -> dict[str, list[list[str]]]:
    names = {op: texts(f"builder.op.{code}") for op, code in OPERATOR_CODES.items()}
    names |= {"between": texts("builder.op.between"), "is_null": texts("builder.op.is_null")}
    unknown = [["is_null", names["is_null"]], ["is_known", texts("builder.op.is_known")]]
    numbers = [[op, names[op]] for op in (">=", "<=", ">", "<", "between", "==", "!=")]
    several = [[op, names[op]] for op in ("in", "not_in", "==", "!=")]
    return {
        "number": numbers + unknown,
        "text": several + unknown,
        "trait": several + numbers[:5] + unknown,
        "flag": [["==", names["=="]], *unknown],
    }


def _currency_sign(formats: Formats) -> str:
    return formats.whole_money(0).replace("0", "").strip()
