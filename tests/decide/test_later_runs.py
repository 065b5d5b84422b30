"""What runs of later cutoffs gave away counts for a run of an earlier one: caps and stock hold in any order of runs."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron import decide, engage, understand
from patron.decide.offers import decide_offers
from patron.run import stage_view
from patron.schema.table_definition import conform
from patron.schema.tables import EXPOSURES, SEGMENTS
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

FIRST = datetime(2024, 3, 4, tzinfo=UTC)
REMINDER = {"id": "remind", "kind": "reminder", "assumed_purchase_uplift": 0.5}
CALL = {"id": "call", "kind": "call", "contact_cost_cents": 1, "assumed_purchase_uplift": 0.9, "stock": 1}


@pytest.fixture
def actions_of(tmp_path, policy):
    """Decide a run of four customers, c0 with an offer of a later run; their actions and the offers forbidden."""
    with_later = Shop.create(tmp_path / "w")

    def decide_at(*, days_later, offers, action="remind"):
        shop, run = with_later, Run.at(FIRST)
        later = Run.at(FIRST + timedelta(days=days_later))
        shop.policy = policy(offers=offers, holdout={"share": 0}, exploration={"share": 0})
        segments = [
            {"run_id": run.run_id, "customer_id": f"c{n}", "as_of": FIRST, "lifecycle_stage": "at_risk"}
            | {"recency_score": 1, "frequency_score": 1, "monetary_score": 1, "persona_id": 0}
            | {"stage_basis": "churn", "is_order_due": True}
            for n in range(4)
        ]
        exposed = {"run_id": later.run_id, "decision_id": "d", "customer_id": "c0", "action": action}
        exposed |= {"channel": "file", "exposed_at": later.as_of, "is_delivered": True, "confirmed_at": later.as_of}
        rows = conform(SEGMENTS, pa.Table.from_pylist(segments))
        stage_view(shop, understand, run=run).write("segments", rows)
        rows = pa.Table.from_pylist([exposed], schema=EXPOSURES.schema())
        stage_view(shop, engage, run=later).write("exposures", rows)
        view = stage_view(shop, decide, run=run)
        decisions = decide_offers(view)
        forbidden = view.read("alternatives", ["customer_id", "action", "forbidden_by"]).to_pylist()
        reasons = dict(zip(decisions["customer_id"].to_pylist(), decisions["reason"].to_pylist(), strict=True))
        return reasons, {(one["customer_id"], one["action"]): one["forbidden_by"] for one in forbidden}

    yield decide_at
    with_later.close()


def test_who_got_an_offer_of_a_later_run_within_the_days_of_the_cap_gets_no_other(actions_of):
    assert "cap_reached" not in actions_of(days_later=28, offers=[REMINDER])[0].values()
    reasons, _ = actions_of(days_later=27, offers=[REMINDER])
    assert [name for name, reason in reasons.items() if reason == "cap_reached"] == ["c0"]


def test_stock_is_that_of_all_runs_of_the_period(actions_of):
    _, forbidden = actions_of(days_later=28, offers=[CALL], action="call")
    assert set(forbidden.values()) == {None}
    _, forbidden = actions_of(days_later=10, offers=[CALL], action="call")
    assert {forbidden[f"c{n}", "call"] for n in (1, 2, 3)} == {"out_of_stock"}


@pytest.mark.parametrize("offers", [[], [REMINDER | {"is_ordinary": True}]])
def test_a_run_without_candidates_decides_nothing(tmp_path, policy, offers):
    shop = Shop.create(tmp_path / "w")
    shop.policy = policy(offers=offers)
    view = stage_view(shop, decide, run=Run.at(FIRST))
    assert decide_offers(view).num_rows == 0
    assert view.read("alternatives").num_rows == 0
    shop.close()
