"""People without an order are forecast from what is known of them, on a shop whose truth is known."""

from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron import predict, understand
from patron.answers.customers.prospects import prospects
from patron.commands.data.simulated_loop import ingest_events
from patron.engage.run_delivery import OutboxSummary
from patron.predict.predict_stage import Summary, answer_prospects
from patron.run import FinishedRun, _write_run_row, build_run_prospects
from patron.schema.errors import NoRunYet, NotEnoughData
from patron.schema.tables import BACKTESTS, BY_NAME, EVENTS, SCORES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.prospects import prospects_at, prospects_by_age

pytestmark = pytest.mark.xdist_group("prospects")  # its workspace takes long to make

GROWING = replace(DEFAULT_SHOP, customers=500, arrivals_per_month_share=0.3, signup_without_order_share=0.6)
DAYS = 330


def understood(shop, world):
    """Facts of prospects, as a completed run of understand, and where the facts come from."""
    view = shop.view(understand.READS, understand.WRITES, run=Run.at(world.now))
    return view, build_facts(view)


def known(shop, world):
    """Facts and forecasts of prospects, as a completed run of understand and predict."""
    run = Run.at(world.now)
    view, facts = understood(shop, world)
    build_run_prospects(view)
    predicted = shop.view(predict.READS, predict.WRITES, run=run)
    answers, missing = answer_prospects(predicted)
    predicted.write("scores", pa.concat_tables([SCORES.empty(), *(answer.scores for answer in answers)]))
    predicted.write("backtests", pa.concat_tables([BACKTESTS.empty(), *(answer.backtests for answer in answers)]))
    summary = Summary(tuple(answer.summary for answer in answers), tuple(missing))
    done = FinishedRun(run.run_id, run.as_of, 0.0, 0, {}, summary, OutboxSummary(0, 0, 0, 0, ()), facts)
    _write_run_row(shop, run, done, {EVENTS.name: shop.lake.version(EVENTS)}, at=run.as_of)
    return shop.view(BY_NAME, [], run=run)


@pytest.fixture(scope="module")
def growing_shop(tmp_path_factory):
    """A shop that many people sign up to before they order, and its view of all facts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        shop, world = Shop.create(tmp_path_factory.mktemp("shop") / "w"), ShopSimulator(GROWING, seed=3)
        ingest_events(shop, world.history(DAYS), received_at=world.now)
        yield shop, known(shop, world)
        shop.close()


def test_their_ranking_beats_the_mean_by_a_stated_gini(growing_shop):
    found = prospects(growing_shop[0])
    assert found.learner == "prospects"
    assert found.evaluated_count > 200
    assert 0 < found.gini_low < found.gini < found.gini_high < 1


def test_the_prospects_to_win_first_come_with_reasons(growing_shop):
    found = prospects(growing_shop[0], most=5)
    assert len(found.people) == 5 < found.people_count
    expected = [person.expected_cents for person in found.people]
    assert expected == sorted(expected, reverse=True)
    assert sum(expected) < found.expected_cents
    assert all(person.reasons and 0 < person.days_since_known <= 90 for person in found.people)
    assert asdict(found) == asdict(prospects(growing_shop[0], most=5))


def test_prospects_are_those_with_a_name_and_without_an_order(growing_shop):
    view = growing_shop[1]
    now = view.run.as_of
    found = prospects_at(view, [now, now - timedelta(days=60)])
    assert found.num_rows == len({(row["customer_id"], row["as_of"]) for row in found.to_pylist()})
    assert max(found["days_since_known"].to_pylist()) <= 90
    here = found.filter(pc.equal(found["as_of"], now))["customer_id"].to_pylist()
    ordered = view.query("select customer_id from orders where is_identified")["customer_id"].to_pylist()
    assert here
    assert not set(here) & set(ordered)
    earlier = found.filter(pc.less(found["as_of"], now))["customer_id"].to_pylist()
    assert set(earlier) & set(ordered)


def test_everybody_has_a_cutoff_of_their_own_after_they_were_first_known(growing_shop):
    view = growing_shop[1]
    found = prospects_by_age(view, timedelta(minutes=1))
    assert np.ptp(found["days_since_known"].to_numpy()) == 0
    named = view.query("select count(distinct customer_id) as n from identities where is_user")["n"][0].as_py()
    assert found.num_rows == named
    assert prospects_by_age(view, timedelta(days=7)).num_rows < named


def test_what_became_known_later_changes_nothing_of_a_prospect(growing_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop, world = Shop.create(tmp_path / "w"), ShopSimulator(GROWING, seed=3)
    ingest_events(shop, world.history(DAYS - 60), received_at=world.now)
    view, _ = understood(shop, world)
    without_ids = [name for name in prospects_at(view, [view.run.as_of]).column_names if name != "customer_id"]
    order = [(name, "ascending") for name in without_ids]
    then = prospects_at(view, [view.run.as_of]).select(without_ids).sort_by(order)
    since = prospects_at(growing_shop[1], [view.run.as_of]).select(without_ids).sort_by(order)
    assert then.num_rows > 50
    assert since.equals(then)
    shop.close()


def test_a_shop_that_nobody_has_signed_up_to_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop, world = Shop.create(tmp_path / "w"), ShopSimulator(replace(GROWING, customers=20), seed=1)
    with pytest.raises(NoRunYet):
        prospects(shop)
    known(shop, world)
    with pytest.raises(NotEnoughData, match="there are no prospects"):
        prospects(shop)
    ingest_events(shop, world.history(40), received_at=world.now)
    known(shop, world)
    with pytest.raises(NotEnoughData, match="outcome is known"):
        prospects(shop)
    shop.close()
