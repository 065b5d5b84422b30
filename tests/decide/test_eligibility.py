from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.decide.eligibility import EXCLUSIONS, OFFER_RULES, Supply
from patron.decide.evidence import Evidence
from patron.decide.expected_value import spend_per_day
from patron.decide.selection import select_offers

SMALL = settings(max_examples=30, deadline=None)
TEN = {"id": "ten", "discount_share": 0.1, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.2}
CALL = {"id": "call", "kind": "call", "contact_cost_cents": 50, "assumed_purchase_uplift": 0.3}


@pytest.fixture
def select(policy):
    def run(rows, *, seed=1, supply=None, held=None, budget_cents=10**7, regret_cents=5_000, **sections):
        held = np.zeros(rows.num_rows, dtype=bool) if held is None else held
        return select_offers(
            rows,
            held,
            policy(**sections),
            Evidence({}, 0.45),
            budget_cents=budget_cents,
            regret_cents=regret_cents,
            rng=np.random.default_rng(seed),
            supply=supply or Supply(),
        )

    return run


def with_column(rows, name, values):
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"available_from": "2024-03-02"}, "not_available"),
        ({"available_until": "2024-02-29"}, "not_available"),
        ({"available_from": "2024-03-01", "available_until": "2024-03-01"}, ""),
        ({"stock": 3}, "out_of_stock"),
        ({"stock": 4}, ""),
        ({"channels": ["file"]}, ""),
        ({"discount_share": 0.45}, "no_margin"),
        ({"discount_share": 0.45, "margin_share": 0.6}, ""),
    ],
)
def test_an_offer_is_closed_to_everybody_with_the_rule_that_closes_it(candidates, select, keys, code):
    supply = Supply(date(2024, 3, 1), {"ten": 3})
    choice = select(candidates(60), supply=supply, offers=[TEN | keys])
    free = ~np.isin(choice.reason, ["cap_reached"])
    assert set(choice.forbidden[free, 0]) == {code}
    assert set(choice.reason[free]) == {"not_eligible"} if code else "not_eligible" not in choice.reason


def test_rules_about_customers_forbid_the_offer_to_all_others(candidates, select):
    rows = candidates(200)
    reasons = np.array(["", "returns", "overdue"])[np.arange(200) % 3]
    rows = with_column(rows, "reason_2", [reason or None for reason in reasons])
    offers = [
        TEN | {"id": "stage", "lifecycle_stages": ["lapsed"]},
        TEN | {"id": "orders", "least_orders": 5},
        TEN | {"id": "value", "least_value": 30.0},
        TEN | {"id": "reason", "reasons": ["returns", "bad_review"]},
    ]
    choice = select(rows, offers=offers, fairness={"price_from_value": True})
    free = choice.reason != "cap_reached"
    expected = {
        "other_stage": np.array(rows["lifecycle_stage"].to_pylist()) != "lapsed",
        "too_few_orders": rows["order_count"].to_numpy() < 5,
        "too_little_value": spend_per_day(rows) * 90 < 3_000,
        "other_reasons": reasons != "returns",
    }
    for at, (code, test) in enumerate(expected.items()):
        assert (choice.forbidden[free, at] == np.where(test, code, "")[free]).all()
    assert choice.propensities_by_action[:, :-1][choice.forbidden != ""].max() == 0
    assert (choice.action >= 0).any()


def test_stock_budget_caps_and_consent_always_hold(candidates, select):
    @SMALL
    @given(
        seed=st.integers(0, 10_000),
        stock=st.integers(0, 40),
        issued=st.integers(0, 10),
        budget=st.integers(0, 30_000),
        regret=st.integers(0, 20_000),
    )
    def holds(seed, stock, issued, budget, regret):
        rng, rows = np.random.default_rng(seed), candidates(150, seed)
        granted, refused = rng.random(150) < 0.7, rng.random(150) < 0.1
        rows = with_column(with_column(rows, "is_consent_granted", granted), "is_personal_refused", refused)
        choice = select(
            rows,
            seed=seed,
            held=rng.random(150) < 0.1,
            supply=Supply(issued={"call": issued}),
            budget_cents=budget,
            regret_cents=regret,
            offers=[TEN, CALL | {"stock": stock}, TEN | {"id": "all", "is_ordinary": True}],
        )
        offered = np.flatnonzero(choice.action >= 0)
        assert (choice.action == 1).sum() <= max(stock - issued, 0)
        assert choice.expected.cost[offered, choice.action[offered]].sum() <= budget * (1 + 1e-9) + 1e-6
        assert choice.exploration_cost_cents.sum() <= regret + 1e-6
        assert granted[offered].all()
        assert (rows["offer_count"].to_numpy()[offered] == 0).all()
        assert set(choice.action[refused]) <= {-1, 2}, "never a personal offer"
        assert (choice.propensity[refused] == 1).all(), "never randomised"
        assert np.allclose(choice.propensities_by_action.sum(axis=1), 1)
        assert choice.propensities_by_action[:, :-1][choice.forbidden != ""].max(initial=0) == 0
        assert set(np.unique(choice.forbidden)) <= {"", *EXCLUSIONS, *OFFER_RULES}

    holds()


def test_no_position_of_the_wheel_exceeds_the_stock(candidates, select):
    rows, most = candidates(120, 2), 0
    for seed in range(60):
        choice = select(rows, seed=seed, offers=[TEN, CALL | {"stock": 9}], regret_cents=20_000)
        most = max(most, (choice.action == 1).sum())
        assert (choice.action == 1).sum() <= 9
    assert most == 9


def test_who_refuses_personal_offers_gets_the_same_as_all_who_do(candidates, select):
    rows = candidates(100)
    refused = np.arange(100) % 4 == 0
    rows = with_column(rows, "is_personal_refused", refused)
    held = np.arange(100) % 8 == 0
    choice = select(rows, held=held, offers=[TEN, CALL | {"id": "all", "is_ordinary": True}])
    free = refused & (rows["offer_count"].to_numpy() == 0)
    assert (choice.action[free] == 1).all()
    assert set(choice.reason[free]) == {"ordinary_offer"}
    assert set(choice.forbidden[free, 0]) == {"personal_refused"}
    assert set(choice.stratum[refused]) == {"all"}
    assert len(np.unique(choice.expected.net[free, 1])) == 1, "their data is not looked at"
    assert "holdout" not in choice.reason[free]
    without = select(rows, held=held, offers=[TEN])
    assert (without.action[refused] == -1).all()
    too_dear = select(rows, held=held, offers=[CALL | {"is_ordinary": True}], budget_cents=50 * (free.sum() - 1))
    assert (too_dear.action[refused] == -1).all(), "all of them or none"


def test_what_all_refuse_costs_money_too(candidates, select):
    rows = with_column(candidates(40), "is_personal_refused", np.ones(40, dtype=bool))
    rows = with_column(rows, "offer_count", np.zeros(40, dtype=np.int64))
    choice = select(rows, offers=[TEN | {"is_ordinary": True}])
    assert (choice.action == 0).all()
    assert len(np.unique(choice.expected.cost)) == 1
    assert choice.expected.cost[0, 0] > TEN["contact_cost_cents"]
    assert (select(rows, offers=[TEN | {"is_ordinary": True}], budget_cents=100).action == -1).all()


def test_without_customers_there_is_nothing_to_decide(candidates, select):
    choice = select(candidates(3).slice(0, 0), offers=[TEN, CALL | {"stock": 1, "is_ordinary": True}])
    assert choice.propensities_by_action.shape == (0, 3)
    assert choice.budget_price == 0
