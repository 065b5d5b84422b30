"""Stage, watch list, key figure, sentence and forecast of one run never contradict each other."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from patron.answers.customers.customer_list import CustomerQuery, find_customers
from patron.answers.customers.customer_profile import customer_card
from patron.answers.customers.watch_list import watch_list
from patron.answers.insight.overview import overview_of
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.summary_sentences import summary_sentences
from patron.run import run_loop
from patron.service.live_profiles import live_profile
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.last_run import last_run
from patron.storage.shop import POLICY_FILE, Shop
from patron.understand.lifecycle_stages import ChurnRisk, OrderRhythm, lifecycle_stages

pytestmark = pytest.mark.xdist_group("one truth about risk")  # its workspaces take long to make
COUNT = 12
DAYS = arrays(float, COUNT, elements=st.integers(0, 700).map(float))
PROBABILITY = st.floats(0, 1)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(DAYS, DAYS, arrays(float, COUNT, elements=st.integers(0, 30).map(float)), DAYS, st.data())
def test_a_stage_never_contradicts_the_churn_probability(since, spread, gaps, last_gap, data):
    spread = np.where(gaps > 0, spread, 0.0)
    last_gap = np.where(gaps > 0, np.minimum(last_gap, spread), 0.0)
    probability = data.draw(arrays(float, COUNT, elements=PROBABILITY))
    at_risk_from, lapsed_from = sorted(data.draw(st.tuples(PROBABILITY, PROBABILITY)))
    has_contract = data.draw(arrays(bool, COUNT))
    rhythm = OrderRhythm(since, spread, gaps, last_gap)
    risk = ChurnRisk(probability, at_risk_from, lapsed_from)
    stages = lifecycle_stages(rhythm, rhythm.shop_pace_days(), risk, has_contract)
    pace_before = (spread - last_gap + rhythm.shop_pace_days()) / np.maximum(gaps, 1)
    is_back = (gaps > 0) & (last_gap > 4 * pace_before)
    pace = np.where(is_back, pace_before, (spread + rhythm.shop_pace_days()) / (gaps + 1))
    for stage, churn, is_due, is_bound in zip(stages, probability, since > pace, has_contract, strict=True):
        expected = "lapsed" if churn >= lapsed_from else "at_risk" if churn >= at_risk_from else None
        assert (stage if stage in {"at_risk", "lapsed"} else None) == (expected if is_due and not is_bound else None)
        assert stage != "new" or not is_due


@pytest.fixture(scope="module", params=[(0.5, 0.8), (0.25, 0.6)])
def shop(request, tmp_path_factory):
    """A simulated shop after a run, with another idea of who is at risk."""
    folder = tmp_path_factory.mktemp("risk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        small = replace(DEFAULT_SHOP, customers=130, visits_per_day=0.0)
        Shop.create(folder / "w").close()
        write_rules(folder / "w", small, budget_cents=50_000)
        policy = folder / "w" / POLICY_FILE
        text = policy.read_text(encoding="utf-8")
        thresholds = "[at_risk]\nat_risk_from = {}\nlapsed_from = {}\n".format(*request.param)
        policy.write_text(text.replace("[at_risk]\n", thresholds), encoding="utf-8")
        world = ShopSimulator(small, seed=3)
        shop = Shop.open(folder / "w")
        ingest_events(shop, world.history(300), received_at=world.now)
        run_loop(shop, world.now)
        yield shop
        shop.close()


@pytest.fixture(scope="module")
def stages(shop):
    view = last_run(shop)
    return {row["customer_id"]: row for row in view.read("segments").to_pylist() if row["run_id"] == view.run.run_id}


@pytest.fixture(scope="module")
def churn(shop):
    rows = last_run(shop).read("scores").to_pylist()
    return {row["customer_id"]: row["value"] for row in rows if row["question"] == "churn"}


def of(stages, *names):
    return {who for who, row in stages.items() if row["lifecycle_stage"] in names}


def test_nobody_who_is_likely_to_order_is_at_risk_or_lapsed(shop, stages, churn):
    at_risk = shop.policy.at_risk
    assert {row["stage_basis"] for row in stages.values()} == {"forecast"}
    assert min(len(of(stages, name)) for name in ("at_risk", "lapsed", "active")) > 0
    for who, row in stages.items():
        if row["lifecycle_stage"] == "at_risk":
            assert at_risk.at_risk_from <= churn[who] < at_risk.lapsed_from
        if row["lifecycle_stage"] == "lapsed":
            assert churn[who] >= at_risk.lapsed_from


def test_no_chance_of_an_order_is_above_that_of_a_longer_horizon(shop, churn):
    view = last_run(shop)
    chances = {"purchase": {}, "purchase_7_days": {}}
    for row in view.read("scores").to_pylist():
        chances.get(row["question"], {})[row["customer_id"]] = row["value"]
    assert churn.keys() == chances["purchase"].keys() == chances["purchase_7_days"].keys()
    for who, value in churn.items():
        assert chances["purchase_7_days"][who] < chances["purchase"][who] < 1 - value
    next_orders = view.read("next_orders").to_pylist()
    assert {row["customer_id"] for row in next_orders} == churn.keys()
    for row in next_orders:
        assert (row["median_days"] is None) == (churn[row["customer_id"]] > 0.5)
        assert (row["median_days"] or 90) <= 7 or chances["purchase_7_days"][row["customer_id"]] < 0.5


def test_a_customers_card_says_when_the_next_order_is_likely(shop, churn):
    view = last_run(shop)
    by_customer = {row["customer_id"]: row for row in view.read("next_orders").to_pylist()}
    for who in (min(churn, key=churn.get), max(churn, key=churn.get)):
        order, row = customer_card(shop, who).next_order, by_customer[who]
        assert order.until == view.run.as_of + timedelta(days=90)
        for at, days in zip((order.low_at, order.likely_by, order.high_at), list(row.values())[-3:], strict=True):
            assert at == (None if days is None else view.run.as_of + timedelta(days=days))
    assert customer_card(shop, max(churn, key=churn.get)).next_order.likely_by is None


def test_no_category_is_likelier_than_an_order_nor_are_all_worth_more_than_the_customer(shop):
    view = last_run(shop)
    scores = view.read("scores").to_pylist()
    chance, value = (
        {row["customer_id"]: row["value"] for row in scores if row["question"] == name}
        for name in ("purchase", "value")
    )
    needs = [row for row in view.read("category_needs").to_pylist() if row["run_id"] == view.run.run_id]
    assert {row["customer_id"] for row in needs} == chance.keys()
    assert all(row["probability"] <= chance[row["customer_id"]] for row in needs)
    spent = dict.fromkeys(chance, 0)
    for row in needs:
        spent[row["customer_id"]] += row["expected_cents"]
    assert all(cents <= max(value[who], 0) for who, cents in spent.items())
    assert sum(spent.values()) > 0
    shown = overview_of(view).category_forecasts
    assert shown[0].expected_cents > 0


def test_past_forecasts_are_those_of_the_backtest_and_give_stages_a_worth(shop):
    view = last_run(shop)
    past = view.read("past_forecasts").to_pylist()
    assert {row["question"] for row in past} == {"churn"}
    assert max(row["as_of"] for row in past) + timedelta(days=90) <= view.run.as_of
    values = {value.lifecycle_stage: value for value in overview_of(view).stage_values}
    assert values["active"].low <= values["active"].paid_cents_90_days <= values["active"].high
    assert values["active"].paid_cents_90_days > values["at_risk"].paid_cents_90_days
    for value in values.values():
        assert value.staying_share + sum(move.share for move in value.moves) == pytest.approx(1)


def test_every_page_counts_the_same_customers(shop, stages):
    everybody = of(stages, "at_risk")
    view = last_run(shop)
    overview = overview_of(view)
    assert next(figure.value for figure in overview.key_figures if figure.code == "at_risk") == len(everybody)
    counts = {stage.lifecycle_stage: stage.customer_count for stage in overview.lifecycle_stages}
    assert counts == {name: len(of(stages, name)) for name in counts}
    assert find_customers(shop, CustomerQuery(lifecycle_stage="at_risk")).total_count == len(everybody)
    sentences = summary_sentences(overview, None, words("en"), Formats("en", "EUR", "UTC"))
    assert [
        sentence for sentence in sentences if sentence.startswith(f"{len(everybody)} customers are at risk of leaving")
    ]


def test_the_watch_list_holds_those_at_risk_by_their_own_forecast(shop, stages, churn):
    listed = watch_list(last_run(shop), limit=10_000)
    assert listed
    assert {one.customer_id for one in listed} <= of(stages, "at_risk")
    assert all(one.churn_probability == churn[one.customer_id] for one in listed)


def test_offers_consider_the_stages_of_the_policy_only(shop, stages):
    decided = {row["customer_id"] for row in last_run(shop).read("decisions").to_pylist()}
    assert decided
    assert decided <= of(stages, *shop.policy.at_risk.lifecycle_stages)


def test_a_live_profile_has_the_stage_of_the_run(shop, stages):
    for name in ("at_risk", "lapsed", "active"):
        for who in sorted(of(stages, name))[:5]:
            live = live_profile(shop, who, now=last_run(shop).run.as_of)
            assert live is None or live.lifecycle_stage == name
