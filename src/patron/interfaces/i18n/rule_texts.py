"""Rules of segments in the reader's words: a sentence for each condition, an outline for a rule, and changes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

CENTS = "cents"
SHARE = "0 to 1"
DAYS = "days"
BOUGHT = ("product", "category", "brand")
FORECAST_FIELDS = ("value", "churn", "purchase")
"""How the names of fields begin that are forecasts."""
LIFECYCLE_FIELDS = ("recency_score", "frequency_score", "monetary_score", "persona_id", "persona", "lifecycle_stage")
Change = tuple[str, str | None, str | None]
"""What changed: its name, and its text before and after; None where there is none."""


@dataclass(frozen=True)
class RuleOutline:
    """A condition as a sentence, with those inside it."""

    text: str
    parts: tuple["RuleOutline", ...] = ()


@dataclass(frozen=True)
class RuleTexts:
    """Writes rules in one language."""

    texts: Words
    formats: Formats
    units: Mapping[str, str]
    """Unit of each field that has one."""

    def outline(self, rule: Mapping[str, Any]) -> RuleOutline:
        """A whole rule."""
        inside = rule.get("not", rule)
        for kind in ("all", "any"):
            if kind in inside and (parts := inside[kind]):
                if len(parts) == 1:
                    return self.outline({"not": parts[0]} if "not" in rule else parts[0])
                text = self.texts(f"rule.not_{kind}" if "not" in rule else f"rule.{kind}")
                return RuleOutline(text, tuple(self.outline(part) for part in parts))
        if "not" in rule:
            part = self.outline(rule["not"])
            return RuleOutline(self.texts("rule.not", rule=part.text), part.parts)
        if "all" in rule or "any" in rule:
            return RuleOutline(self.texts("rule.all_empty" if "all" in rule else "rule.any_empty"))
        return RuleOutline(self._sentence(rule))

    def sentence(self, rule: Mapping[str, Any]) -> str:
        """A rule in one line."""
        return _join_parts(self.outline(rule), self.texts)

    def changes(self, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[Change, ...]:
        """Conditions that one version has and the other has not."""
        old = self._lines(before) if before is not None else []
        return changed_lines(self.texts("rule.condition"), old, self._lines(after))

    def _lines(self, rule: Mapping[str, Any]) -> list[str]:
        """Conditions, each with what it stands in; that all must hold goes without saying."""
        outline = self.outline(rule)
        if outline.text == self.texts("rule.all"):
            return [line for part in outline.parts for line in _lines(part)]
        return list(_lines(outline))

    def field_name(self, name: str) -> str:
        """Name of a field."""
        text = self.texts.texts.get(f"segment_field.{name}")
        return text if isinstance(text, str) else self.texts.feature(name)

    def value(self, field: str, value: Any) -> str:
        """A value of a field in its unit."""
        if isinstance(value, bool):
            return self.texts("rule.yes" if value else "rule.no")
        if isinstance(value, str):
            return self.choice(field, value)
        unit = self.units.get(field, "")
        shown: Mapping[str, Callable[[Any], str]] = {CENTS: self.formats.money, SHARE: self._share}
        number = shown.get(unit, self._number)(value)
        return self.texts("rule.days", n=round(value), count=number) if unit == DAYS else number

    def choice(self, field: str, value: str) -> str:
        """Name of a value that is a text."""
        if field == "lifecycle_stage":
            return self.texts.code("stage", value)
        if field == "persona":
            return self.texts.persona(value)
        return self.texts.level(field, value)

    def _number(self, value: float) -> str:
        return self.formats.count(value) if float(value).is_integer() else f"{value:g}"

    def _share(self, value: float) -> str:
        return self.formats.share(value, 0 if round(value * 100, 6).is_integer() else 1)

    def _sentence(self, rule: Mapping[str, Any]) -> str:
        for kind in ("field", "trait"):
            if kind in rule:
                return self._comparison(kind, rule)
        if "consent" in rule:
            answer = self.texts(f"rule.consent.{rule['is']}")
            return self.texts("rule.consent", purpose=self.texts.code("purpose", rule["consent"]), answer=answer)
        if "segment" in rule:
            return self.texts("rule.segment", name=rule["segment"])
        if "tag" in rule:
            return self.texts("rule.tag", what=self._any_of(rule["tag"]))
        if "event" in rule:
            return self.texts("rule.event", name=rule["event"], window=self._window(rule))
        bought = [self._bought(kind, rule["bought"][kind]) for kind in BOUGHT if kind in rule["bought"]]
        return self.texts("rule.bought", what=self.texts("rule.comma").join(bought), window=self._window(rule))

    def _comparison(self, kind: str, rule: Mapping[str, Any]) -> str:
        name = rule[kind]
        op = rule["op"]
        value = rule.get("value", True)
        shown = (
            self.field_name(name) if kind == "field" else self.texts("rule.trait", name=self.texts.code("trait", name))
        )
        if op == "is_null":
            return self.texts("rule.unknown" if value else "rule.known", name=shown)
        if op == "between":
            low, high = (self.value(name, one) for one in value)
            return self.texts("rule.between", name=shown, low=low, high=high)
        values = value if isinstance(value, list | tuple) else [value]
        listed = self.texts("list.joint").join(self.value(name, one) for one in values)
        return self.texts(f"rule.op.{OPERATOR_CODES[op]}", name=shown, value=listed)

    def _bought(self, kind: str, values: object) -> str:
        return self.texts(f"rule.bought.{kind}", what=self._any_of(values))

    def _any_of(self, values: object) -> str:
        listed = values if isinstance(values, list | tuple) else [values]
        return self.texts("rule.or").join(str(one) for one in listed)

    def _window(self, rule: Mapping[str, Any]) -> str:
        least, days = rule.get("least", 1), rule.get("within_days")
        parts = [self.texts("rule.least", n=least, count=self.formats.count(least))] if least > 1 else []
        parts += [self.texts("rule.within", n=days, count=self.formats.count(days))] if days else []
        return "".join(parts)


OPERATOR_CODES = {
    "==": "equal",
    "!=": "unequal",
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
    "in": "in",
    "not_in": "not_in",
}


def changed_lines(name: str, before: list[str], after: list[str]) -> tuple[Change, ...]:
    """Lines that differ, those that stand for each other as one change."""
    changes: list[Change] = []
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        old, new = before[old_from:old_to], after[new_from:new_to]
        changes += [(name, *pair) for pair in zip_longest(old, new)]
    return tuple(changes)


def _lines(outline: RuleOutline) -> Iterator[str]:
    if not outline.parts:
        yield outline.text
    else:
        for part in outline.parts:
            yield from (f"{outline.text} {line}" for line in _lines(part))


def _join_parts(outline: RuleOutline, texts: Words) -> str:
    if not outline.parts:
        return outline.text
    return f"{outline.text} {texts('rule.comma').join(_join_parts(part, texts) for part in outline.parts)}"
