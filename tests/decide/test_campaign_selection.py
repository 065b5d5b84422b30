"""Offers of a campaign: within its budget, whatever the order of customers, the holdout chosen like the others."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.decide.campaign_selection import NOTHING, CampaignTerms, message_alone, select_campaign_offers
from patron.decide.eligibility import Supply
from patron.decide.evidence import Evidence
from patron.storage.offers.offer_policy import Offer

EVIDENCE = Evidence({}, margin_share=0.4)
NO_CAP = {"offers_per_customer": 2}


@pytest.fixture
def select(policy):
    def select(rows, is_held_out, terms, *, offers=None, **sections):
        made = policy(**{"caps": NO_CAP} | sections)
        chosen = made.offers if offers is None else offers
        made = made.model_copy(update={"offers": (*chosen, message_alone(made, 14))})
        supply = Supply(issued={})
        return select_campaign_offers(rows, is_held_out, made, EVIDENCE, terms, supply)

    return select


def held_out(count, seed, share=0.2):
    return np.random.default_rng(seed).random(count) < share


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 300),
    budget=st.one_of(st.just(0.0), st.floats(1, 200_000)),
    goal=st.sampled_from(["profit", "orders", "reactivated"]),
    share=st.sampled_from([0.0, 0.2, 0.9]),
    refused=st.sampled_from([0.0, 0.3]),
)
def test_the_budget_is_never_exceeded_and_the_order_of_customers_does_not_matter(
    select, candidates, seed, count, budget, goal, share, refused
):
    rows, rng = candidates(count, seed), np.random.default_rng(seed)
    refuses = pa.array(rng.random(count) < refused)
    rows = rows.set_column(rows.column_names.index("is_personal_refused"), "is_personal_refused", refuses)
    is_held_out = held_out(count, seed, share)
    terms = CampaignTerms(goal, budget)
    selection = select(rows, is_held_out, terms)
    spent = selection.cost[selection.is_selected & ~is_held_out].sum()
    assert spent <= budget * (1 + 1e-6)
    assert ((selection.reason == "") == selection.is_selected).all()
    again = select(rows, is_held_out, terms)
    assert (again.action == selection.action).all()


def test_the_holdout_is_selected_as_the_others_are(select, candidates):
    rows = candidates(6_000, 3)
    is_held_out = held_out(rows.num_rows, 5)
    selection = select(rows, is_held_out, CampaignTerms("profit", 20_000.0))
    inside, outside = (selection.is_selected[arm].mean() for arm in (is_held_out, ~is_held_out))
    assert 0.05 < outside < 0.9
    assert abs(inside - outside) < 3 * np.sqrt(outside * (1 - outside) / is_held_out.sum())
    assert selection.cost[selection.is_selected & ~is_held_out].sum() > 0.95 * 20_000


def test_without_offers_everybody_gets_the_message_alone_and_caps_of_offers_do_not_count(select, candidates):
    rows = candidates(200, 1)
    selection = select(
        rows, np.zeros(200, bool), CampaignTerms("profit", 0.0), offers=(), caps={"offers_per_customer": 0}
    )
    assert selection.is_selected.all()
    assert selection.offers == ("message",)


def test_who_refuses_personal_offers_gets_the_ordinary_one_or_the_message_alone(select, candidates):
    rows = candidates(100, 2)
    refuses = np.arange(100) < 10
    rows = rows.set_column(rows.column_names.index("is_personal_refused"), "is_personal_refused", pa.array(refuses))
    nobody = np.zeros(100, bool)
    alone = select(rows, nobody, CampaignTerms("profit", 1e6))
    assert set(alone.action[refuses].tolist()) == {len(alone.offers) - 1}
    assert len(alone.offers) - 1 not in set(alone.action[~refuses].tolist())
    ordinary = Offer(id="all", discount_share=0.05, assumed_purchase_uplift=0.05, is_ordinary=True)
    everybody = select(rows, nobody, CampaignTerms("profit", 1e6), offers=(ordinary,))
    assert set(everybody.action[refuses].tolist()) == {0}
    assert len(set(everybody.gain[refuses].tolist())) == 1


def test_for_orders_the_cheaper_of_two_offers_that_bring_as_many_is_chosen(select, candidates):
    offers = [
        Offer(id=name, discount_share=share, assumed_purchase_uplift=0.1) for name, share in (("b", 0.2), ("a", 0.1))
    ]
    selection = select(candidates(100, 4), np.zeros(100, bool), CampaignTerms("orders", 1e9), offers=tuple(offers))
    assert set(selection.action.tolist()) == {1}


def test_to_reactivate_only_lapsed_customers_are_written_to(select, candidates):
    rows = candidates(300, 6)
    selection = select(rows, np.zeros(300, bool), CampaignTerms("reactivated", 1e9))
    lapsed = np.array(rows["lifecycle_stage"].to_pylist()) == "lapsed"
    assert (selection.is_selected == lapsed).all()


def test_gains_that_never_come_true_leave_nobody_to_write_to(select, candidates):
    selection = select(candidates(100, 7), np.zeros(100, bool), CampaignTerms("profit", 1e9, gain_factor=-1.0))
    assert (selection.action == NOTHING).all()
    assert set(selection.reason.tolist()) == {"net_value_below_zero"}
