import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.decide.evidence import Evidence, MeasuredEffect
from patron.decide.expected_value import spend_per_day
from patron.decide.fair_prices import price_groups
from patron.decide.selection import select_offers
from patron.decide.strata import strata

SPEND = ("value_cents_90_days", "paid_cents", "gross_cents", "discount_cents")
SIZES = [
    {"id": f"off_{share}", "discount_share": share / 100, "contact_cost_cents": 5, "assumed_purchase_uplift": uplift}
    for share, uplift in ((5, 0.06), (15, 0.14), (30, 0.25))
]


def times_spend(rows, factor):
    """The same customers, alike but for their spend: a whole factor keeps shares of whole cents as they are."""
    for name in SPEND:
        values = np.where(rows[name].is_valid(), rows[name].fill_null(0).to_numpy() * factor, np.nan)
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, pa.array(values, from_pandas=True).cast(rows[name].type, safe=False))
    return rows


def effects_of(rows, rng):
    names = np.unique(strata(rows, spend_per_day(rows)))
    return {(o["id"], str(n)): MeasuredEffect(rng.normal(100, 300), 100.0) for o in SIZES for n in names}


def test_two_customers_alike_but_for_their_spend_never_get_different_discounts(candidates, policy):
    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10_000), factor=st.integers(2, 8), is_measured=st.booleans())
    def holds(seed, factor, is_measured):
        rng, half = np.random.default_rng(seed), candidates(120, seed)
        other = times_spend(half, factor)
        names = pa.array([f"d{n:06}" for n in range(120)])
        rows = pa.concat_tables([half, other.set_column(0, "customer_id", names)])
        choice = select_offers(
            rows,
            np.zeros(240, dtype=bool),
            policy(offers=SIZES),
            Evidence(effects_of(rows, rng) if is_measured else {}, 0.45),
            budget_cents=200_000,
            regret_cents=0,
            rng=rng,
        )
        first, second = choice.action[:120], choice.action[120:]
        both = (first >= 0) & (second >= 0)
        assert (first[both] == second[both]).all()

    holds()


def test_each_stage_and_taste_has_one_price_and_exploring_it_does_not_look_at_value(candidates, policy):
    rows = candidates(600, 4)
    rng = np.random.default_rng(4)
    learned = Evidence(effects_of(rows, rng), 0.45)
    limits = {"budget_cents": 10**7, "regret_cents": 10**6}
    choice = select_offers(rows, np.zeros(600, bool), policy(offers=SIZES), learned, **limits, rng=rng)
    group = price_groups(choice.stratum)
    assert len(np.unique(group)) < len(np.unique(choice.stratum))
    tried = 0
    for name in np.unique(group):
        priced = (group == name) & (choice.best >= 0)
        assert len(np.unique(choice.best[priced])) <= 1
        chances = choice.propensities_by_action[priced]
        for offer in set(range(3)) - set(choice.best[priced]):
            above = chances[:, offer][chances[:, offer] > 0]
            assert len(np.unique(above)) <= 1
            tried += len(above)
    assert tried
    by_value = policy(offers=SIZES, fairness={"price_from_value": True})
    free = select_offers(rows, np.zeros(600, bool), by_value, learned, **limits, rng=rng)
    assert any(len(np.unique(free.best[(group == name) & (free.best >= 0)])) > 1 for name in np.unique(group))


def test_a_price_beyond_the_budget_does_not_close_the_cheaper_ones(candidates, policy):
    rows, nobody = times_spend(candidates(120, 3), 10), np.zeros(120, dtype=bool)
    sizes = [SIZES[0], SIZES[2] | {"assumed_purchase_uplift": 0.5}]
    rich, poor = (
        select_offers(
            rows,
            nobody,
            policy(offers=sizes),
            Evidence({}, 0.45),
            budget_cents=cents,
            regret_cents=0,
            rng=np.random.default_rng(1),
        )
        for cents in (10**7, 500)
    )
    assert set(rich.action) == {-1, 1}
    assert rich.expected.cost[rich.action == 1, 1].min() > 500
    assert set(poor.action) == {-1, 0}
    assert poor.expected.cost[poor.action == 0, 0].sum() <= 500


def test_where_the_budget_ends_the_price_is_the_one_that_earns_most_with_it(candidates, policy):
    rows, nobody = candidates(1_000, 4), np.zeros(1_000, dtype=bool)
    sizes = [one | {"assumed_purchase_uplift": uplift} for one, uplift in zip(SIZES, (0.05, 0.13, 0.25), strict=True)]
    earned = {}
    for is_by_value in (False, True):
        for cents in (5_000, 20_000):
            choice = select_offers(
                rows,
                nobody,
                policy(offers=sizes, fairness={"price_from_value": is_by_value}),
                Evidence({}, 0.45),
                budget_cents=cents,
                regret_cents=0,
                rng=np.random.default_rng(1),
            )
            offered = np.flatnonzero(choice.action >= 0)
            earned[is_by_value, cents] = choice.expected.net[offered, choice.action[offered]].sum()
    for cents in (5_000, 20_000):
        assert earned[False, cents] > 0.93 * earned[True, cents]


def test_reminders_and_calls_are_chosen_for_each_customer(candidates, policy):
    rows = candidates(300, 5)
    offers = [
        {"id": "remind", "kind": "reminder", "contact_cost_cents": 5, "assumed_purchase_uplift": 0.02},
        {"id": "call", "kind": "call", "contact_cost_cents": 150, "assumed_purchase_uplift": 0.12},
    ]
    rng = np.random.default_rng(1)
    choice = select_offers(
        rows,
        np.zeros(300, bool),
        policy(offers=offers),
        Evidence({}, 0.45),
        budget_cents=10**6,
        regret_cents=0,
        rng=rng,
    )
    assert set(choice.action) == {-1, 0, 1}
    assert "other_price" not in choice.forbidden
