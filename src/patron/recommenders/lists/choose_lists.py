"""From candidates to lists: rules hold exactly, and every candidate that is left out has its reason."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import numpy.typing as npt

from patron.recommenders.ids import Codes
from patron.recommenders.lists.exclusions import EXCLUSIONS, LISTED, Exclusion
from patron.recommenders.lists.list_candidates import ItemsByRow, ListCandidates, ShopperFacts
from patron.recommenders.lists.list_kernel import ItemHistories, ItemHistory, Limits, Products, greedy_lists
from patron.recommenders.lists.list_rules import ListRules, product_exclusions
from patron.recommenders.lists.product_facts import ProductFacts
from patron.schema.errors import BadListInput
from patron.schema.numbers import Numbers

ROUNDING = 1e-9
"""So that 0.29 of 100 places are 29."""


@dataclass(frozen=True, eq=False)
class ProductLists:
    """One list per row, best first, and for what is not in it the reason."""

    items: Codes
    """Rows x k: numbers of products in the facts; -1 after the end of a list."""
    relevance: Numbers
    """Rows x k: relevance, 0 to 1; NaN after the end."""
    candidates: ListCandidates
    exclusions: npt.NDArray[np.int8]
    """Of each candidate its place in EXCLUSIONS, LISTED (-1) where it is in the list; equal pairs have the same."""
    counts: npt.NDArray[np.int32]
    """Rows x EXCLUSIONS: how many products of a row each of them left out; the last one counts missing candidates."""

    def why_short(self, row: int) -> dict[Exclusion, int]:
        """How many products each reason left out of a list that has fewer than k; empty for a full one.

        `no_candidate` counts how many candidates fewer than k there were.
        """
        if self.items[row, -1] >= 0:
            return {}
        return {name: int(count) for name, count in zip(EXCLUSIONS, self.counts[row], strict=True) if count}

    def why_not(self, row: int, item: int) -> Exclusion | None:
        """Why a product is not in a row's list; None where it is."""
        start, end = np.searchsorted(self.candidates.row, [row, row + 1])
        places = np.flatnonzero(self.candidates.item[start:end] == item)
        if not len(places):
            return "no_candidate"
        exclusion = int(self.exclusions[start + places[0]])
        return None if exclusion == LISTED else EXCLUSIONS[exclusion]


def choose_lists(
    candidates: ListCandidates, facts: ProductFacts, rules: ListRules, k: int, shopper: ShopperFacts | None = None
) -> ProductLists:
    """The best k candidates of each row that the rules allow, by relevance and diversity; ties by product number.

    A list is shorter where every other candidate is excluded by a rule: nothing is filled up. Without `shopper`
    nothing is known of customers. Raises BadListInput.
    """
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise BadListInput(f"k is {k!r}", where="lists", todo="Ask for 1 product or more.")
    _check_range("candidates", candidates.item, 0, len(facts))
    histories = ItemHistories(
        *(_history(name, getattr(shopper, name, None), candidates.rows, facts) for name in ItemHistories._fields)
    )
    starts = np.searchsorted(candidates.row, np.arange(candidates.rows + 1))
    limits = Limits(
        float(rules.bought_within_days),
        float(rules.returned_within_days),
        min_relevance=float(rules.min_relevance),
        one_per_style=rules.one_per_style,
        most_per_category=int(k + 1 if rules.most_per_category is None else min(rules.most_per_category, k + 1)),
        tail_places=int(k * rules.tail_share + ROUNDING),
        diversity=float(rules.diversity),
    )
    arrays = candidates.item, candidates.relevance, _products(facts, rules)
    items, relevance, exclusions, counts = greedy_lists(starts, *arrays, histories, limits, int(k))
    return ProductLists(items, relevance, candidates=candidates, exclusions=exclusions, counts=counts)


def _products(facts: ProductFacts, rules: ListRules) -> Products:
    return Products(
        product_exclusions(facts, rules),
        facts.style,
        category=facts.category,
        brand=facts.brand,
        is_consumable=facts.is_consumable,
        is_tail=facts.is_tail,
        vectors=facts.vectors,
        has_vector=facts.has_vector,
    )


def _history(name: str, past: ItemsByRow | None, rows: int, facts: ProductFacts) -> ItemHistory:
    past = ItemsByRow.none(rows) if past is None else past
    if past.rows != rows:
        what = f"{name} has {past.rows} rows, candidates have {rows}"
        raise BadListInput(what, where="shopper", todo="Pass one row per list.")
    _check_range(name, past.items, -1, len(facts))
    return ItemHistory(past.starts, past.items, past.days)


def _check_range(name: str, items: Codes, least: int, end: int) -> None:
    if len(items) and not (items.min() >= least and items.max() < end):
        what = f"{name}: an item is not from {least} to {end - 1}"
        raise BadListInput(what, where="lists", todo="Pass numbers of products in these facts.")
