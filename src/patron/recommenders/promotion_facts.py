"""What the shop's plan says of an item and a user, for a model that ranks candidates."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from patron.recommenders.ids import Codes
from patron.recommenders.interactions import Interactions
from patron.recommenders.promotions import Promotions
from patron.schema.numbers import Numbers

PRIOR_ROWS = 5.0
"""How many rows an item's usual response, and a user's usual taste, are worth."""


@dataclass(frozen=True, eq=False)
class PromotionFacts:
    """Facts of promotions that were planned by the newest row."""

    promotions: Promotions
    days_ahead: float
    """How far the plan is looked at, days; as far is looked back."""
    response: Numbers
    """Of each item: rows while it was on promotion, over those that its time on promotion alone would have had."""
    item_facts: Numbers
    """Items x (share of the days ahead on promotion, the same of each kind, largest price cut, share of the days
    before)."""
    user_facts: Numbers
    """Of each user: share of the rows that were on promotion."""

    @classmethod
    def of(cls, promotions: Promotions, known: Interactions, days_ahead: float) -> Self:
        """Look ahead and back from the end of the rows."""
        plan = _plan(promotions, known).of_kinds(promotions.kinds)
        on_promotion = plan.share_at(known.item, known.day)
        first_day = float(known.day.min(initial=known.end_day))
        usual = plan.share_by_item(first_day, known.end_day) if first_day < known.end_day else np.zeros(len(plan.items))
        rows, promoted_rows = (np.bincount(known.item, one, len(known.items)) for one in (None, on_promotion))
        response = (promoted_rows + PRIOR_ROWS) / (rows * usual + PRIOR_ROWS)
        item_facts, user_facts = _item_facts(plan, known.end_day, days_ahead), _user_facts(known, on_promotion)
        return cls(plan, days_ahead, response, item_facts, user_facts)

    def fold_rows(self, known: Interactions) -> Self:
        """The plan as of the end of other users' rows, and these users; how items respond stays as it is."""
        promotions = self.promotions if known.promotions is None else known.promotions
        plan = _plan(promotions, known).of_kinds(self.promotions.kinds)
        item_facts = _item_facts(plan, known.end_day, self.days_ahead)
        user_facts = _user_facts(known, plan.share_at(known.item, known.day))
        return replace(self, promotions=plan, item_facts=item_facts, user_facts=user_facts)

    def features(self, users: Codes, items: Codes) -> Numbers:
        """One row per pair of a user and an item."""
        return np.column_stack([self.item_facts[items], self.response[items], self.user_facts[users]])

    @property
    def feature_count(self) -> int:
        """How many features a pair has."""
        return self.item_facts.shape[1] + 2


def _plan(promotions: Promotions, known: Interactions) -> Promotions:
    """What was planned by the end of the rows, of their items."""
    return promotions.known_by(known.end_day).of_items(known.items)


def _item_facts(plan: Promotions, end_day: float, days_ahead: float) -> Numbers:
    ahead, before = (end_day, end_day + days_ahead), (end_day - days_ahead, end_day)
    cut = np.full(len(plan.items), np.nan)
    runs = (plan.share_of_days(*ahead) > 0) & ~np.isnan(plan.price_cut)
    np.fmax.at(cut, plan.item[runs], plan.price_cut[runs])
    kinds = [plan.share_by_item(*ahead, kind) for kind in range(len(plan.kinds))]
    return np.column_stack([plan.share_by_item(*ahead), *kinds, cut, plan.share_by_item(*before)])


def _user_facts(known: Interactions, on_promotion: Numbers) -> Numbers:
    rows, promoted = (np.bincount(known.user, one, len(known.users)) for one in (None, on_promotion))
    return promoted / np.where(rows > 0, rows, np.nan)
