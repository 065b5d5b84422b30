"""The decide stage of a run: offers, then recommendations."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from patron.decide.offers import decide_offers
from patron.decide.recommendations import recommend
from patron.decide.selection import NONE
from patron.storage.shop import View


@dataclass(frozen=True)
class Summary:
    """What was decided in a run."""

    considered_count: int
    offered_count: int
    expected_cost_cents: float
    expected_net_value_cents: float
    reasons: Mapping[str, int]
    """Customers by reason code."""


def run(view: View) -> Summary:
    """Write `decisions` and `recommendations`."""
    decisions = decide_offers(view)
    recommend(view)
    actions = decisions["action"].to_pylist()
    reasons = Counter(decisions["reason"].to_pylist())
    return Summary(
        considered_count=len(actions),
        offered_count=len(actions) - actions.count(NONE),
        expected_cost_cents=sum(decisions["cost_cents"].to_pylist()),
        expected_net_value_cents=sum(decisions["expected_net_value_cents"].to_pylist()),
        reasons=dict(sorted(reasons.items())),
    )
