"""Where a list stands in the shop, and how it is made there."""

from dataclasses import dataclass, field

from patron.recommenders.lists.list_rules import ListRules


@dataclass(frozen=True)
class Scenario:
    """One place for recommendations: the home page, a product's page, the cart, a message."""

    name: str
    rules: ListRules = field(default_factory=ListRules)
    count: int = 10
    """Products of a list."""
    value_weight: float = 0.0
    """How much the expected margin counts next to the click: 0 clicks alone, 1 margin alone."""
    rotation: float = 0.0
    """How much of a product's rate is taken off just after it was shown and not clicked, 0 to 1 ..."""
    rotation_half_life_days: float = 1.0
    """... which is half of that after so many days."""
    context_weight: float = 1.0
    """How much the products of the page or cart count, of what they usually do."""
