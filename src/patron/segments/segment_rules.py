"""The rule of a segment: a typed tree of conditions on a customer, read from TOML or JSON and never run as code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Scalar = str | int | float | bool
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not_in", "between", "is_null"]
Answer = Literal["granted", "withdrawn", "unknown"]
OPERATORS: tuple[str, ...] = get_args(Operator)
ANSWERS: tuple[str, ...] = get_args(Answer)
ORDERING = frozenset({"<", "<=", ">", ">=", "between"})
"""Operators that need an order of the values: numbers have one here, texts have none."""
Kind = Literal["number", "text", "flag"]


@dataclass(frozen=True)
class Comparison:
    """An operator and what it compares with; false for a value that is unknown, but for `is_null`."""

    op: Operator
    value: Scalar | tuple[Scalar, ...]
    """A tuple for `in`, `not_in` and `between` (both ends included); for `is_null`, whether it is to be unknown."""


@dataclass(frozen=True)
class AllOf:
    """All of the parts hold; without parts, everybody."""

    parts: tuple["Rule", ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one of the parts holds; without parts, nobody."""

    parts: tuple["Rule", ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold: its complement among all customers of the run."""

    part: "Rule"


@dataclass(frozen=True)
class FieldRule:
    """A column of features, forecasts or scores compares so."""

    field: str
    test: Comparison


@dataclass(frozen=True)
class TraitRule:
    """The last declared value of a trait compares so; numbers compare as numbers."""

    trait: str
    test: Comparison


@dataclass(frozen=True)
class ConsentRule:
    """The customer's last answer to a purpose."""

    purpose: str
    answer: Answer


@dataclass(frozen=True)
class PurchaseRule:
    """At least so many orders with a line of such a product, within so many days (None: ever)."""

    products: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    within_days: int | None = None
    least: int = 1


@dataclass(frozen=True)
class EventRule:
    """At least so many events of a name, within so many days (None: ever)."""

    event: str
    within_days: int | None = None
    least: int = 1


@dataclass(frozen=True)
class TagRule:
    """Staff gave the customer at least one of these tags; as of now, whatever the run."""

    tags: tuple[str, ...]


@dataclass(frozen=True)
class SegmentRule:
    """The customer is a member of another segment."""

    segment: str


Leaf = FieldRule | TraitRule | ConsentRule | PurchaseRule | EventRule | TagRule | SegmentRule
Rule = AllOf | AnyOf | Not | Leaf


@dataclass(frozen=True)
class SegmentField:
    """What a rule may name: a column with one value a customer."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    """The codes that it may hold."""


@dataclass(frozen=True)
class KnownNames:
    """Names that there are in a shop, which a rule is checked against."""

    fields: Mapping[str, SegmentField] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()


def leaves(rule: Rule) -> Iterator[Leaf]:
    """Every leaf of a rule, in order."""
    match rule:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield rule


def segments_of(rule: Rule) -> frozenset[str]:
    """Names of the segments that a rule mentions."""
    return frozenset(leaf.segment for leaf in leaves(rule) if isinstance(leaf, SegmentRule))


def tags_of(rule: Rule) -> frozenset[str]:
    """Tags that a rule mentions."""
    return frozenset(tag for leaf in leaves(rule) if isinstance(leaf, TagRule) for tag in leaf.tags)


def rule_content(rule: Rule) -> dict[str, Any]:
    """A rule as TOML and JSON write it."""
    match rule:
        case AllOf(parts):
            return {"all": [rule_content(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [rule_content(part) for part in parts]}
        case Not(part):
            return {"not": rule_content(part)}
        case _:
            return _leaf_content(rule)


def _leaf_content(leaf: Leaf) -> dict[str, Any]:
    match leaf:
        case FieldRule(name, test):
            content = {"field": name, **_test_content(test)}
        case TraitRule(name, test):
            content = {"trait": name, **_test_content(test)}
        case ConsentRule(purpose, answer):
            content = {"consent": purpose, "is": answer}
        case PurchaseRule():
            kinds = {"product": leaf.products, "category": leaf.categories, "brand": leaf.brands}
            bought = {kind: _one_or_list(values) for kind, values in kinds.items() if values}
            content = {"bought": bought, **_window_content(leaf)}
        case EventRule(name):
            content = {"event": name, **_window_content(leaf)}
        case TagRule(tags):
            content = {"tag": _one_or_list(tags)}
        case SegmentRule(name):
            content = {"segment": name}
    return content


def _test_content(test: Comparison) -> dict[str, Any]:
    return {"op": test.op, "value": list(test.value) if isinstance(test.value, tuple) else test.value}


def _one_or_list(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _window_content(rule: PurchaseRule | EventRule) -> dict[str, int]:
    window = {} if rule.within_days is None else {"within_days": rule.within_days}
    return window | ({} if rule.least == 1 else {"least": rule.least})
