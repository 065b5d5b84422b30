"""Where a list stands in the shop, and how it is made there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from patron.recommenders.lists.list_rules import ListRules

CART = "cart"
"""Name of the scenario whose page is a cart: what replaces a product of it is not listed there."""
MIN_RELEVANCE = 1e-15
"""What is left out for an unlikely click has the relevance 0."""


@dataclass(frozen=True)
class Scenario:
    """One place for recommendations: the home page, a product's page, the cart, a message."""

    name: str
    rules: ListRules = field(default_factory=ListRules)
    count: int = 10
    """Products of a list."""
    least_click_probability: float = 0.0
    """Less likely clicks are left out, 0 to 1."""
    value_weight: float = 0.0
    """How much the margin counts next to the order: 0 not at all, 1 as much."""
    rotation: float = 0.0
    """How much of a product's rate is taken off just after it was shown and not clicked, 0 to 1 ..."""
    rotation_half_life_days: float = 1.0
    """... which is half of that after so many days."""

    @classmethod
    def of(cls, name: str, blocked: Collection[str], settings: Mapping[str, Any]) -> Self:
        """From settings in one level: those of the rules and of the scenario.

        No limit of products of a category is 0. Raises BadListInput for a value out of its range.
        """
        values = dict(settings)
        values["min_relevance"] = MIN_RELEVANCE if values.get("least_click_probability") else 0.0
        values["most_per_category"] = values.get("most_per_category") or None
        of_rules = {field_.name for field_ in fields(ListRules)}
        rules = ListRules(blocked=tuple(blocked), **{key: value for key, value in values.items() if key in of_rules})
        return cls(name, rules, **{key: value for key, value in values.items() if key not in of_rules})
