"""What a shop promises of every list, as data: the same rules at night and live."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from patron.recommenders.lists.exclusions import BLOCKED, LOW_MARGIN, NO_RULE, OUT_OF_STOCK
from patron.recommenders.lists.product_facts import ProductFacts
from patron.schema.errors import BadListInput

MAX_CACHED = 16
"""Rules whose exclusions a catalogue keeps."""


@dataclass(frozen=True)
class ListRules:
    """Rules that hold in every list. What is not known of a product breaks none of them."""

    in_stock: bool = True
    """Leave out products whose stock is known to be below 1 unit."""
    least_margin_share: float | None = None
    """Leave out products whose margin is known to be below this share of the price; None is no floor."""
    bought_within_days: float = 14.0
    """Leave out what was bought less than so many days ago, in any variant, unless it is consumable; 0 is no rule."""
    returned_within_days: float = 365.0
    """Leave out what was returned less than so many days ago, in any variant; 0 is no rule."""
    blocked: tuple[str | int, ...] = ()
    """Ids of products that no list has; one that is not in the catalogue does not matter."""
    one_per_style: bool = True
    """Show one variant of a style at most."""
    most_per_category: int | None = None
    """Show so many products of a category at most; None is no cap. Products without a category are not capped."""
    min_relevance: float = 0.0
    """Leave out candidates whose relevance is below this, 0 to 1: a shorter list rather than a bad one."""
    tail_share: float = 0.0
    """Places that go to the long tail where it has candidates enough, as a share of the list, 0 to 1, rounded down."""
    diversity: float = 0.0
    """Weight of being unlike what is in the list before, 0 to 1; the rest is the weight of relevance."""

    def __post_init__(self) -> None:
        """Raise BadListInput for a rule that cannot be kept as it is."""
        if not isinstance(self.blocked, tuple | list) or not all(_is_id(one) for one in self.blocked):
            raise _bad("blocked", self.blocked, "a tuple of product ids")
        object.__setattr__(self, "blocked", tuple(self.blocked))
        for name in ("in_stock", "one_per_style"):
            if not isinstance(getattr(self, name), bool):
                raise _bad(name, getattr(self, name), "true or false")
        for name in ("bought_within_days", "returned_within_days"):
            _require_number(name, getattr(self, name), 0, np.inf, "days, 0 or more")
        for name in ("min_relevance", "tail_share", "diversity"):
            _require_number(name, getattr(self, name), 0, 1, "a number from 0 to 1")
        if self.least_margin_share is not None:
            _require_number("least_margin_share", self.least_margin_share, -np.inf, 1, "a share, 1 at most")
        most = self.most_per_category
        if most is not None and (isinstance(most, bool) or not isinstance(most, Integral) or most < 1):
            raise _bad("most_per_category", most, "a whole number of 1 or more, or None")


def product_exclusions(facts: ProductFacts, rules: ListRules) -> npt.NDArray[np.int8]:
    """Why rules exclude each product whoever the customer is; NO_RULE where they do not.

    It is computed once for a catalogue and its rules: let rules differ by scenario, not by request.
    """
    key = rules.in_stock, rules.least_margin_share, rules.blocked
    cache = facts.exclusion_cache
    exclusions = cache.get(key)
    if exclusions is None:
        exclusions = np.full(len(facts), NO_RULE, dtype=np.int8)
        if rules.least_margin_share is not None:
            exclusions[facts.margin_share < rules.least_margin_share] = LOW_MARGIN
        if rules.in_stock:
            exclusions[facts.stock < 1] = OUT_OF_STOCK
        codes = facts.codes([str(one) for one in rules.blocked])
        exclusions[codes[codes >= 0]] = BLOCKED
        exclusions[facts.is_blocked] = BLOCKED
        if len(cache) >= MAX_CACHED:
            cache.clear()
        cache[key] = exclusions
    return exclusions


def _is_id(value: Any) -> bool:
    return isinstance(value, str | Integral) and not isinstance(value, bool)


def _require_number(name: str, value: Any, least: float, most: float, words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
        raise _bad(name, value, words)


def _bad(name: str, value: Any, words: str) -> BadListInput:
    return BadListInput(f"{name} is {value!r}", where="rules", todo=f"It is {words}.")
