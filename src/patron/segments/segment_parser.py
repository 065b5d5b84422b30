"""Reads the rule of a segment from the content of a file or a request, and names everything that is wrong at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from patron.schema.common_sentences import AT_PLACE, NO_SEGMENT
from patron.schema.errors import BadSegment
from patron.schema.sentences import Sentence, joined
from patron.schema.spelling import did_you_mean, hinted, known_are, one_line
from patron.segments.segment_rules import (
    ANSWERS,
    OPERATORS,
    ORDERING,
    AllOf,
    Answer,
    AnyOf,
    Comparison,
    ConsentRule,
    EventRule,
    FieldRule,
    KnownNames,
    Leaf,
    Not,
    Operator,
    PurchaseRule,
    Rule,
    Scalar,
    SegmentField,
    SegmentRule,
    TagRule,
    TraitRule,
)

RULE_SHAPE = Sentence("rule_shape", "must be a condition such as {example}")
RULE_BOUGHT = Sentence("rule_bought", "bought must name a product, category or brand, as in {example}")
RULE_NO_CONDITION = Sentence("rule_no_condition", "{name} is not a valid condition")
RULE_TAKES_NO = Sentence("rule_takes_no", "{kind} takes no {name}")
RULE_LEAVE_OUT = Sentence("rule_leave_out", "Leave it out")
RULE_NO_FIELD = Sentence("rule_no_field", "there is no field {name!r}")
RULE_NO_TRAIT = Sentence("rule_no_trait", "there is no plain trait {name!r}")
RULE_NO_EVENT = Sentence("rule_no_event", "there is no event {name!r}")
RULE_NEVER = Sentence("rule_never", "{name} is never {value}")
RULE_CHOICES = Sentence("rule_choices", "It is one of {choices}")
IS_OF_KIND = {
    "number": Sentence("rule_is_number", "{name} is a number (got {value})"),
    "text": Sentence("rule_is_text", "{name} is a text (got {value})"),
    "flag": Sentence("rule_is_flag", "{name} is true or false (got {value})"),
}
RULE_BOTH = Sentence(
    "rule_both", "has {kinds}; put each into a condition of its own, within all = [...] or any = [...]"
)
RULE_TEXT = Sentence("rule_text", "must be a text of 1 to {count} characters (got {value})")
RULE_DEPTH = Sentence("rule_depth", "conditions nest at most {count} deep")
RULE_LIST = Sentence("rule_list", "{kind} must be a list of conditions in [ ]")
RULE_IS = Sentence("rule_is", "is must be one of {answers} (got {value})")
RULE_BLANK_TAG = Sentence("rule_blank_tag", "a tag is not blank")
RULE_OP = Sentence("rule_op", "op must be one of {operators} (got {value})")
RULE_NULL = Sentence("rule_null", "value of is_null must be true or false (got {value})")
RULE_VALUE_LIST = Sentence("rule_value_list", "value of {op} must be a list in [ ] (got {value})")
RULE_VALUE_COUNT = Sentence("rule_value_count", "value of {op} lists at most {count:,} values")
RULE_BETWEEN = Sentence("rule_between", "value of between must be its two ends, as in [10, 20]")
RULE_MIXED = Sentence("rule_mixed", "value of {op} mixes texts and numbers")
RULE_SCALAR = Sentence("rule_scalar", "value must be a finite number, a short text or true or false (got {value})")
RULE_TEXTS = Sentence("rule_texts", "must be a text, or a list of 1 to {count:,} texts")
RULE_CONDITIONS = Sentence("rule_conditions", "a rule has at most {count} conditions")
RULE_COMPARES = Sentence("rule_compares", "{op} compares numbers (got {value})")
RULE_WINDOW = Sentence("rule_window", "{name} must be a whole number from 1 to {most:,} (got {value})")

MAX_DEPTH = 12
MAX_CONDITIONS = 200
MAX_VALUES = 1_000
MAX_TEXT_LENGTH = 200
MAX_DAYS = 36_500
MAX_TIMES = 1_000_000
MAX_NUMBER = 1e15
TODO = Sentence(
    "rule_todo",
    "Correct the rule; `patron segment fields` lists what it may name, `patron segment save --example` shows how.",
)
BOUGHT = ("product", "category", "brand")
WINDOW = ("within_days", "least")
KEYS: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "any": (),
    "not": (),
    "field": ("op", "value"),
    "trait": ("op", "value"),
    "consent": ("is",),
    "bought": WINDOW,
    "event": WINDOW,
    "tag": (),
    "segment": (),
}
"""What names the kind of a condition, and the other keys that it takes."""
EXAMPLE = '{ field = "value_decile", op = ">=", value = 8 }'
BOUGHT_EXAMPLE = '{ category = "Dairy" }'
NOBODY = AnyOf(())
"""What stands for a condition that cannot be read until all problems are listed."""


def parse_rule(content: object, known: KnownNames | None = None, *, where: str = "rule") -> Rule:
    """A rule from its content, checked against the names of a shop where they are known.

    Raises BadSegment with all that is wrong, each problem with its place in the rule.
    """
    parser = _Parser(known)
    rule = parser.rule(content, "rule", 1)
    if parser.problems:
        raise BadSegment(joined(parser.problems), where=where, todo=TODO)
    return rule


class _Parser:
    """One pass over the content of a rule, which gathers problems."""

    def __init__(self, known: KnownNames | None) -> None:
        self.known = known
        self.problems: list[str] = []
        self.condition_count = 0

    def rule(self, content: object, at: str, depth: int) -> Rule:
        """Read one condition and those inside it."""
        self.condition_count += 1
        if self.condition_count > MAX_CONDITIONS:
            is_first = self.condition_count == MAX_CONDITIONS + 1
            return self._problem(at, RULE_CONDITIONS(count=MAX_CONDITIONS)) if is_first else NOBODY
        if depth > MAX_DEPTH:
            return self._problem(at, RULE_DEPTH(count=MAX_DEPTH))
        if not isinstance(content, Mapping) or not content:
            return self._problem(at, RULE_SHAPE(example=EXAMPLE))
        content = cast("Mapping[str, object]", content)
        kinds = [name for name in KEYS if name in content]
        if len(kinds) != 1:
            return self._problem(at, self._wrong_kinds(content, kinds))
        self._check_keys(content, at, kinds[0])
        return self._of_kind(kinds[0], content, at, depth)

    def _of_kind(self, kind: str, content: Mapping[str, object], at: str, depth: int) -> Rule:
        if kind in {"all", "any"}:
            parts = self._parts(content, kind, at, depth)
            return AllOf(parts) if kind == "all" else AnyOf(parts)
        if kind == "not":
            return Not(self.rule(content["not"], f"{at}.not", depth + 1))
        readers: dict[str, Callable[[Mapping[str, object], str], Leaf | None]] = {
            "field": self._field,
            "trait": self._trait,
            "consent": self._consent,
            "bought": self._bought,
            "event": self._event,
            "tag": self._tag,
            "segment": self._segment,
        }
        return readers[kind](content, at) or NOBODY

    def _problem(self, at: str, what: str) -> AnyOf:
        self.problems.append(AT_PLACE(place=at, reasons=what))
        return NOBODY

    @staticmethod
    def _wrong_kinds(content: Mapping[str, object], kinds: list[str]) -> str:
        if kinds:
            return RULE_BOTH(kinds=" and ".join(kinds))
        name = str(next(iter(content)))
        return hinted(RULE_NO_CONDITION(name=name), did_you_mean(name, KEYS) or known_are(KEYS))

    def _check_keys(self, content: Mapping[str, object], at: str, kind: str) -> None:
        for name in content:
            if name != kind and name not in KEYS[kind]:
                taken = known_are(KEYS[kind]) if KEYS[kind] else RULE_LEAVE_OUT
                problem = RULE_TAKES_NO(kind=kind, name=name)
                self._problem(at, hinted(problem, did_you_mean(name, KEYS[kind]) or taken))

    def _parts(self, content: Mapping[str, object], kind: str, at: str, depth: int) -> tuple[Rule, ...]:
        listed = content[kind]
        if not isinstance(listed, list | tuple):
            self._problem(at, RULE_LIST(kind=kind))
            return ()
        return tuple(self.rule(part, f"{at}.{kind}[{place}]", depth + 1) for place, part in enumerate(listed, 1))

    def _field(self, content: Mapping[str, object], at: str) -> FieldRule | None:
        name = self._text(content["field"], f"{at}.field")
        is_known = self.known is None or self._is_known(name, self.known.fields, f"{at}.field", RULE_NO_FIELD)
        field = self.known.fields.get(name) if self.known and name is not None else None
        test = self._test(content, at, field)
        return FieldRule(name, test) if name is not None and test and is_known else None

    def _trait(self, content: Mapping[str, object], at: str) -> TraitRule | None:
        name = self._text(content["trait"], f"{at}.trait")
        is_known = self.known is None or self._is_known(name, self.known.traits, f"{at}.trait", RULE_NO_TRAIT)
        test = self._test(content, at, None)
        return TraitRule(name, test) if name is not None and test and is_known else None

    def _consent(self, content: Mapping[str, object], at: str) -> ConsentRule | None:
        purpose, answer = self._text(content["consent"], f"{at}.consent"), content.get("is")
        if answer not in ANSWERS:
            self._problem(at, RULE_IS(answers=", ".join(ANSWERS), value=_shown(answer)))
            return None
        return ConsentRule(purpose, cast("Answer", answer)) if purpose is not None else None

    def _bought(self, content: Mapping[str, object], at: str) -> PurchaseRule | None:
        what, window = content["bought"], self._window(content, at)
        if not isinstance(what, Mapping) or not what:
            self._problem(at, RULE_BOUGHT(example=BOUGHT_EXAMPLE))
            return None
        values: dict[str, tuple[str, ...] | None] = {}
        for name, listed in cast("Mapping[str, object]", what).items():
            if name not in BOUGHT:
                problem = RULE_TAKES_NO(kind="bought", name=name)
                self._problem(at, hinted(problem, did_you_mean(name, BOUGHT) or known_are(BOUGHT)))
            else:
                values[name] = self._texts(listed, f"{at}.bought.{name}")
        if window is None or len(values) < len(what) or None in values.values():
            return None
        products, categories, brands = (values.get(name) or () for name in BOUGHT)
        return PurchaseRule(products, categories, brands, *window)

    def _event(self, content: Mapping[str, object], at: str) -> EventRule | None:
        name, window = self._text(content["event"], f"{at}.event"), self._window(content, at)
        is_known = self.known is None or self._is_known(name, self.known.events, f"{at}.event", RULE_NO_EVENT)
        return EventRule(name, *window) if name is not None and window is not None and is_known else None

    def _tag(self, content: Mapping[str, object], at: str) -> TagRule | None:
        """Tags need not be in use: a segment may wait for those whom it is for."""
        texts = self._texts(content["tag"], f"{at}.tag")
        tags = None if texts is None else tuple(dict.fromkeys(map(one_line, texts)))
        if tags and not all(tags):
            return self._no(f"{at}.tag", RULE_BLANK_TAG)
        return TagRule(tags) if tags else None

    def _segment(self, content: Mapping[str, object], at: str) -> SegmentRule | None:
        name = self._text(content["segment"], f"{at}.segment")
        is_known = self.known is None or self._is_known(name, self.known.segments, f"{at}.segment", NO_SEGMENT)
        return SegmentRule(name) if name is not None and is_known else None

    def _is_known(self, name: str | None, known: Iterable[str], at: str, unknown: Sentence) -> bool:
        if name is None or name in known:
            return name is not None
        self._problem(at, hinted(unknown(name=name), did_you_mean(name, known)))
        return False

    def _test(self, content: Mapping[str, object], at: str, field: SegmentField | None) -> Comparison | None:
        op, value = content.get("op"), content.get("value")
        if op not in OPERATORS:
            self._problem(at, RULE_OP(operators=" ".join(OPERATORS), value=_shown(op)))
            return None
        op = cast("Operator", op)
        if op == "is_null":
            value = True if value is None else value
            if isinstance(value, bool):
                return Comparison(op, value)
            return self._no(at, RULE_NULL(value=_shown(value)))
        if op in {"in", "not_in", "between"}:
            return self._list_test(op, value, at, field)
        if not self._is_scalar(value, op, at, field):
            return None
        return Comparison(op, cast("Scalar", value))

    def _list_test(self, op: Operator, value: object, at: str, field: SegmentField | None) -> Comparison | None:
        if not isinstance(value, list | tuple) or not value:
            return self._no(at, RULE_VALUE_LIST(op=op, value=_shown(value)))
        if len(value) > MAX_VALUES:
            return self._no(at, RULE_VALUE_COUNT(op=op, count=MAX_VALUES))
        if op == "between" and len(value) != 2:
            return self._no(at, RULE_BETWEEN)
        are_scalars = [self._is_scalar(one, op, at, field) for one in value]
        if not all(are_scalars):
            return None
        if len({_kind(one) for one in value}) > 1:
            return self._no(at, RULE_MIXED(op=op))
        return Comparison(op, tuple(value))

    def _no(self, at: str, what: str) -> None:
        self._problem(at, what)

    def _is_scalar(self, value: object, op: str, at: str, field: SegmentField | None) -> bool:
        """Whether a value can be compared so, and with the field where that is known; else it is a problem."""
        kind = _kind(value)
        if kind is None:
            self._problem(at, RULE_SCALAR(value=_shown(value)))
        elif op in ORDERING and kind != "number":
            self._problem(at, RULE_COMPARES(op=op, value=_shown(value)))
        elif field and kind != field.kind:
            self._problem(at, IS_OF_KIND[field.kind](name=field.name, value=_shown(value)))
        elif field and field.choices and value not in field.choices:
            choices = did_you_mean(str(value), field.choices) or RULE_CHOICES(choices=", ".join(field.choices))
            self._problem(at, hinted(RULE_NEVER(name=field.name, value=_shown(value)), choices))
        else:
            return True
        return False

    def _window(self, content: Mapping[str, object], at: str) -> tuple[int | None, int] | None:
        days, least = content.get("within_days"), content.get("least", 1)
        is_right = True
        for name, value, most in (("within_days", days, MAX_DAYS), ("least", least, MAX_TIMES)):
            if (name != "within_days" or value is not None) and not _is_whole(value, most):
                self._problem(at, RULE_WINDOW(name=name, most=most, value=_shown(value)))
                is_right = False
        return (cast("int | None", days), cast("int", least)) if is_right else None

    def _text(self, value: object, at: str) -> str | None:
        if isinstance(value, str) and 0 < len(value) <= MAX_TEXT_LENGTH and _can_be_stored(value):
            return value
        self._problem(at, RULE_TEXT(count=MAX_TEXT_LENGTH, value=_shown(value)))
        return None

    def _texts(self, value: object, at: str) -> tuple[str, ...] | None:
        listed = value if isinstance(value, list | tuple) else [value]
        if not listed or len(listed) > MAX_VALUES:
            self._problem(at, RULE_TEXTS(count=MAX_VALUES))
            return None
        texts = [self._text(one, at) for one in listed]
        return None if None in texts else tuple(text for text in texts if text is not None)


def _kind(value: object) -> str | None:
    """Kind of a value that a rule may compare with; None for any other."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number" if abs(value) <= MAX_NUMBER else None
    return "text" if isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH and _can_be_stored(value) else None


def _can_be_stored(text: str) -> bool:
    """Whether databases take a text: no NUL, no half of a pair of surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _shown(value: Any) -> str:
    """A value in a refusal, short."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
