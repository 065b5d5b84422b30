import json
from contextlib import closing
from datetime import timedelta
from hashlib import md5

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron import understand
from patron.schema.tables import EVENTS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.contract_holders import contract_holders
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.features import build_features
from patron.understand.lifecycle_stages import DAYS_WITHOUT_HISTORY, ChurnRisk, OrderRhythm, lifecycle_stages
from patron.understand.rfm_scores import fifths
from patron.understand.segments import build_segments


def test_five_equal_groups_get_the_scores_one_to_five():
    assert fifths(np.arange(10.0)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert fifths(np.zeros(0)).tolist() == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_customers_who_tie_share_their_score_whatever_their_order(values, random):
    scores = dict(zip(values, fifths(np.array(values, float)).tolist(), strict=True))
    shuffled = random.sample(values, len(values))
    assert fifths(np.array(shuffled, float)).tolist() == [scores[value] for value in shuffled]
    assert [scores[value] for value in sorted(scores)] == sorted(scores.values())
    assert set(scores.values()) <= {1, 2, 3, 4, 5}


def customers(*rows):
    """Features from (days since the last order, days from first to last, days with an order, last pause)."""
    names = ("days_since_last_order", "days_from_first_to_last_order", "order_day_count_lifetime")
    columns = dict(zip((*names, "days_between_last_two_orders"), zip(*rows, strict=True), strict=True))
    return pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})


PACE_OF_TEN = [(5, 40, 5, 10)] * 9
"""Most customers come every ten days: the shop's pace, which decides about those with one order."""


@pytest.mark.parametrize(
    ("customer", "stage"),
    [
        ((10, 0, 1, None), "new"),
        ((11, 0, 1, None), "active"),  # one order, a little longer ago than a pace
        ((20, 0, 1, None), "active"),
        ((21, 0, 1, None), "at_risk"),
        ((40, 0, 1, None), "at_risk"),
        ((41, 0, 1, None), "lapsed"),
        ((20, 40, 5, 10), "active"),
        ((21, 40, 5, 10), "at_risk"),
        ((41, 40, 5, 10), "lapsed"),
        ((5, 92, 5, 52), "reactivated"),  # the pause before: 52 days; the others 10 on average, shop's included
        ((5, 90, 5, 40), "active"),
        ((185, 360, 4, 120), "active"),  # every 120 days: 92.5 with the shop's pace, and two of them are 185
        ((186, 360, 4, 120), "at_risk"),
    ],
)  # fmt: skip
def test_without_a_forecast_a_stage_is_relative_to_the_customers_own_pace_and_the_shops(customer, stage):
    assert stages_of(customer)[0] == stage
    assert stages_of(customer, churn=np.nan)[0] == stage


@pytest.mark.parametrize(
    ("customer", "churn", "stage"),
    [
        ((10, 0, 1, None), 0.95, "new"),  # the next order is not due yet
        ((11, 0, 1, None), 0.95, "lapsed"),
        ((11, 0, 1, None), 0.5, "at_risk"),
        ((41, 0, 1, None), 0.02, "active"),  # silent for long, and all the same sure to come
        ((10, 40, 5, 10), 0.95, "active"),
        ((11, 40, 5, 10), 0.9, "lapsed"),
        ((11, 40, 5, 10), 0.899, "at_risk"),
        ((11, 40, 5, 10), 0.499, "active"),
        ((300, 40, 5, 10), 0.02, "active"),
        ((5, 92, 5, 52), 0.95, "reactivated"),
        ((40, 334, 2, 334), 0.97, "lapsed"),  # back once, then silent: the pause before is no pace to wait for
        ((40, 334, 2, 334), 0.3, "reactivated"),
        ((60, 92, 5, 52), 0.6, "at_risk"),
        ((60, 92, 5, 52), 0.4, "reactivated"),
        ((92, 360, 4, 120), 0.8, "active"),  # orders every four months: nothing in 90 days is usual
        ((93, 360, 4, 120), 0.8, "at_risk"),
    ],
)  # fmt: skip
def test_a_stage_follows_from_the_churn_probability_once_an_order_is_due(customer, churn, stage):
    assert stages_of(customer, churn=churn)[0] == stage


def stages_of(customer, churn=None):
    rhythm = OrderRhythm.of(customers(customer, *PACE_OF_TEN))
    risk = None if churn is None else ChurnRisk(np.array([churn] + [np.nan] * len(PACE_OF_TEN)), 0.5, 0.9)
    return lifecycle_stages(rhythm, rhythm.shop_pace_days(), risk)


def test_a_shop_in_which_nobody_came_back_has_a_pace_all_the_same():
    rhythm = OrderRhythm.of(customers((10, 0, 1, None)))
    assert rhythm.shop_pace_days() == DAYS_WITHOUT_HISTORY
    assert lifecycle_stages(rhythm, rhythm.shop_pace_days()) == ["new"]


@pytest.fixture(scope="module")
def view(pipeline, tmp_path_factory):
    """A shop of forty customers, understood as of day 60."""
    shop = Shop.create(tmp_path_factory.mktemp("segments") / "w")
    events = [
        pipeline.event(f"{n}/{k}", "Order Line Completed", 1 + n + 9 * k, order_id=f"{n}/{k}",
            price_cents=100 * n + 50 * k, user_token=f"u{n}", product_id="p")
        for n in range(40)
        for k in range(1 + n % 3)
    ]  # fmt: skip
    shop.lake.append(EVENTS, pipeline.events_table(events))
    view = shop.view(understand.READS, understand.WRITES, run=Run.at(pipeline.day(60)))
    build_facts(view)
    build_cutoffs(view, [view.run.as_of, view.run.as_of - timedelta(days=30)])
    build_features(view)
    build_segments(view)
    yield view
    shop.close()


def test_every_customer_of_the_run_has_one_segment_row(view):
    rows = view.read("segments")
    assert sorted(rows["customer_id"].to_pylist()) == sorted(view.read("customers")["customer_id"].to_pylist())
    assert set(rows["as_of"].to_pylist()) == {view.run.as_of}
    for score in ("recency_score", "frequency_score", "monetary_score"):
        assert set(rows[score].to_pylist()) <= {1, 2, 3, 4, 5}
    assert view.read("personas").num_rows == 0
    assert set(rows["persona_id"].to_pylist()) == {-1}


def test_a_repeated_run_ends_the_same(view):
    before = {name: sorted(map(str, view.read(name).to_pylist())) for name in understand.WRITES}
    for build in (build_facts, lambda v: build_cutoffs(v, [v.run.as_of, v.run.as_of - timedelta(days=30)])):
        build(view)
    build_features(view)
    build_segments(view)
    assert {name: sorted(map(str, view.read(name).to_pylist())) for name in understand.WRITES} == before


def test_only_those_with_an_order_by_then_have_a_cutoff(view):
    counts = view.query("select as_of, count(*) as n from cutoffs group by as_of order by as_of").to_pylist()
    assert [row["n"] for row in counts] == [29, 40]
    assert view.query("select count(*) as n from features")["n"].to_pylist() == [69]


def test_a_cutoff_after_the_run_is_refused(view):
    with pytest.raises(ValueError, match="after the run's own"):
        build_cutoffs(view, [view.run.as_of + timedelta(days=1)])


def test_who_has_a_contract_that_is_not_cancelled_is_neither_lapsed_nor_at_risk(pipeline, tmp_path):
    """All have ordered three times long ago; what they have of a contract is known by day 60 or not."""

    def contract(who, name, at, ends=90, **more):
        properties = json.dumps({"contract_id": "c", "ends_at": pipeline.day(ends).isoformat()})
        more |= {"user_token": who, "properties": properties}
        return pipeline.event(f"{who}-{name}-{at}", f"Contract {name}", at, **more)

    contracts = {
        "none": [],
        "running": [contract("running", "Started", 5)],
        "over": [contract("over", "Started", 5, ends=59)],
        "renewed": [contract("renewed", "Started", 5, ends=59), contract("renewed", "Started", 59)],
        "cancelled": [contract("cancelled", "Started", 5), contract("cancelled", "Cancelled", 50)],
        "known later": [contract("known later", "Started", 5), contract("known later", "Cancelled", 50, known=61)],
        "back": [
            contract("back", "Started", 5),
            contract("back", "Cancelled", 50),
            contract("back", "Started", 55, ends=95),
        ],
    }
    orders = [
        pipeline.event(f"{who}{day}", "Order Completed", day, order_id=f"{who}{day}", revenue_cents=900, user_token=who)
        for who in contracts
        for day in (1, 4, 7)
    ]
    with closing(Shop.create(tmp_path / "w")) as shop:
        events = [*orders, *(row for rows in contracts.values() for row in rows)]
        shop.lake.append(EVENTS, pipeline.events_table(events))
        view = shop.view(understand.READS, understand.WRITES, run=Run.at(pipeline.day(60)))
        build_facts(view)
        build_cutoffs(view, [view.run.as_of])
        build_features(view)
        build_segments(view)
        rows = {row["customer_id"]: row for row in view.read("segments").to_pylist()}
        of = {who: rows[md5(who.encode(), usedforsecurity=False).hexdigest()] for who in contracts}
        held = {"running", "renewed", "known later", "back"}
        assert {who for who, row in of.items() if row["lifecycle_stage"] == "active"} == held
        assert {who for who, row in of.items() if row["lifecycle_stage"] == "lapsed"} == contracts.keys() - held
        assert {who for who, row in of.items() if not row["is_order_due"]} == held
        past = pa.table({"customer_id": [of[who]["customer_id"] for who in contracts] * 2})
        cutoffs = [pipeline.day(4)] * len(contracts) + [pipeline.day(20)] * len(contracts)
        at_past = contract_holders(view, past.append_column("as_of", pa.array(cutoffs, pa.timestamp("us", "UTC"))))
        assert at_past.tolist() == [False] * len(contracts) + [who != "none" for who in contracts]
