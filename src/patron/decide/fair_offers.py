"""Whether customers who could get an offer get one alike in every group, and what group thresholds cost."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from patron.decide.fair_verdicts import FairnessRow, comparison_rows, worst
from patron.decide.group_comparison import SelectedRows, compare_groups
from patron.decide.selection import OfferSelection, could_have_offer, expected_gain_cents
from patron.decide.trait_groups import Groups
from patron.schema.tables import (
    CUSTOMERS_ADDED,
    CUSTOMERS_REMOVED,
    EXPECTED_GAIN_CHANGE,
    FAIRNESS,
    GROUP_THRESHOLDS,
    NO_MITIGATION,
    OFFERS_DECISION,
    REFUSE,
)
from patron.storage.runs.stage_view import StageView

Selected = tuple[pa.Table, OfferSelection]
"""Candidates and the selected actions."""


def audit_offers(view: StageView, groups: Groups, rows: pa.Table, choice: OfferSelection) -> Iterator[FairnessRow]:
    """Compare the share with an offer, of those whom nothing kept from one, by each declared trait."""
    is_open = could_have_offer(choice)
    customers = np.array(rows["customer_id"].to_pylist(), dtype=np.str_)[is_open]
    selected = SelectedRows(customers, choice.action[is_open] >= 0)
    rng = np.random.default_rng(view.run.child_seed("fairness of offers"))
    fairness = view.policy.fairness
    for trait, of_customer in groups.items():
        names = np.array([of_customer.get(customer, "") for customer in customers.tolist()], dtype=np.str_)
        comparison = compare_groups(selected, names, fewest=fairness.fewest_customers, rng=rng, tests=len(groups))
        yield from comparison_rows(
            comparison, decision=OFFERS_DECISION, mitigation=NO_MITIGATION, trait=trait, fairness=fairness
        )


def price_rows(trait: str, without: Selected, with_thresholds: Selected) -> Iterator[FairnessRow]:
    """What group thresholds change: who is considered for an offer, and the expected gain of all offers, cents."""
    before, after = (set(rows["customer_id"].to_pylist()) for rows, _ in (without, with_thresholds))
    change = expected_gain_cents(with_thresholds[1]) - expected_gain_cents(without[1])
    for metric, count in ((CUSTOMERS_ADDED, len(after - before)), (CUSTOMERS_REMOVED, len(before - after))):
        yield FairnessRow(
            OFFERS_DECISION, GROUP_THRESHOLDS, trait=trait, group_name="", metric=metric, customer_count=count
        )
    yield FairnessRow(
        OFFERS_DECISION,
        GROUP_THRESHOLDS,
        trait=trait,
        group_name="",
        metric=EXPECTED_GAIN_CHANGE,
        customer_count=len(after),
        value=round(change, 2),
    )


def is_refused(rows: Iterable[FairnessRow]) -> bool:
    """Whether the offers themselves differ more between groups than the policy takes."""
    return worst(row for row in rows if row.decision == OFFERS_DECISION) == REFUSE


def fairness_table(run_id: str, rows: Sequence[FairnessRow]) -> pa.Table:
    """Rows of `fairness`."""
    return pa.Table.from_pylist([row.written(run_id) for row in rows], schema=FAIRNESS.schema())
