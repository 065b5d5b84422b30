"""The run's model of visits: fitted to a sample that follows from what happened, judged on later visits, or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron import predict, understand
from patron.clickstream import LEARNERS, ORDER, training_rows
from patron.commands.data.simulated_loop import ingest_events
from patron.predict.origins import later_origins
from patron.predict.session_conversion import build_session_conversion
from patron.predict.session_conversion.conversion_model import BEGINS, KNOWN, with_times
from patron.predict.session_conversion.past_sessions import past_sessions
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.models.questions import SESSION_CONVERSION
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts

pytestmark = pytest.mark.xdist_group("session_conversion")
NAME = SESSION_CONVERSION.name


def simulated_shop(folder):
    """A workspace with the facts of 60 days of a small simulated shop."""
    shop, world = Shop.create(folder), ShopSimulator(replace(DEFAULT_SHOP, customers=250), 5)
    while world.day < 60:
        ingest_events(shop, world.history(30), received_at=world.now)
    return shop, facts_at(shop, world.now)


def facts_at(shop, as_of):
    run = Run.at(as_of)
    build_facts(shop.view(understand.READS, understand.WRITES, run=run))
    return shop.view(predict.READS, predict.WRITES, run=run)


@pytest.fixture(scope="module")
def two_shops(tmp_path_factory):
    """The same events in two workspaces, whose customer ids differ."""
    folder = tmp_path_factory.mktemp("visits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        shops = [simulated_shop(folder / name) for name in ("a", "b")]
        yield shops
        for shop, _ in shops:
            shop.close()


@pytest.fixture(scope="module")
def models(two_shops):
    """What a run writes in both workspaces."""
    return [build_session_conversion(view) for _, view in two_shops]


def test_every_learner_is_judged_next_to_the_rules_with_intervals(models):
    rows = models[0].backtests
    assert models[0].unanswered == ()
    whole = rows.filter(pc.equal(rows["origin"], "all"))
    expected = {(one.name, metric.name) for one in LEARNERS for metric in SESSION_CONVERSION.all_metrics}
    assert set(zip(whole["learner"].to_pylist(), whole["metric"].to_pylist(), strict=True)) == expected
    decisive = [row for row in whole.to_pylist() if row["metric"] == "log_loss"]
    assert all(row["low"] < row["value"] < row["high"] for row in decisive)
    champion = next(row for row in decisive if row["learner"] == row["champion"])
    assert champion["baseline"] in SESSION_CONVERSION.baselines
    assert champion["gain_low"] > 0


def test_the_model_is_kept_and_read_back_by_the_registry(two_shops, models):
    shop, view = two_shops[0]
    fitted = model_registry.load(shop.folder / "models", shop.store, NAME, view.run.run_id, LEARNERS)
    rows = training_rows(past_sessions(view))
    forecast = fitted.predict(rows)["forecast"].to_numpy()
    assert np.average(forecast, weights=rows["weight"]) == pytest.approx(
        np.average(rows["label"], weights=rows["weight"]), abs=0.02
    )
    card = model_registry.card(shop.folder / "models", shop.store, f"{NAME}/{view.run.run_id}")
    assert card["learner"] == models[0].backtests["champion"][0].as_py()
    assert card["question"] == SESSION_CONVERSION.meaning


def test_two_workspaces_with_the_same_events_have_the_same_model(two_shops, models):
    (first, view), (second, _) = two_shops
    assert models[0].backtests.equals(models[1].backtests)
    folders = [shop.folder / "models" / NAME / view.run.run_id / "model" for shop in (first, second)]
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("most", [200, 10])
def test_a_sample_is_bounded_and_the_same_in_both_workspaces(two_shops, most):
    samples = [past_sessions(view, most=most) for _, view in two_shops]
    assert [len(sample) for sample in samples] == [most, most]
    assert [one.events for one in samples[0]] == [one.events for one in samples[1]]
    assert {one.customer_id for one in samples[0]} != {one.customer_id for one in samples[1]}


def test_visits_are_those_of_the_sessions_table_and_over_before_the_run(two_shops):
    shop, view = two_shops[0]
    sessions = past_sessions(view)
    sql = "select started_at, ended_at, event_count, order_count from sessions where event_count > order_count"
    table = shop.view(["sessions"], [], run=view.run).query(sql)
    known = {
        (row["started_at"].timestamp(), row["ended_at"].timestamp()): (row["event_count"], row["order_count"])
        for row in table.to_pylist()
    }
    until = view.run.as_of.timestamp() - 1_800
    assert len(sessions) > 500
    for one in sessions:
        span = one.events[0].at_seconds, one.events[-1].at_seconds
        assert span[1] < until
        assert known[span] == (len(one.events), sum(event.kind == ORDER for event in one.events))


def test_models_learn_from_visits_that_were_over_and_are_judged_on_later_ones(two_shops):
    rows = with_times(training_rows(past_sessions(two_shops[0][1])))
    origins = later_origins(rows, BEGINS, KNOWN)
    assert len(origins) == 3
    judged = 0
    for origin in origins:
        assert pc.max(origin.known()["ended_at"]).as_py() < pc.min(origin.test_rows["started_at"]).as_py()
        judged += origin.test_rows.num_rows
    assert judged == rows.filter(pc.greater_equal(rows["started_at"], origins[0].cutoff.timestamp())).num_rows


def hourly(name, count=400):
    """Events of one name, one an hour, of five users in turn."""
    columns = {
        "event_id": [f"e{number}" for number in range(count)],
        "name": [name] * count,
        "occurred_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(count)],
        "user_id": [f"u{number % 5}" for number in range(count)],
        "product_id": ["p"] * count,
        "order_id": [f"o{number}" for number in range(count)],
        "revenue_cents": [500] * count,
    }
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type) for f in RAW_EVENTS]
    return pa.Table.from_arrays(arrays, schema=RAW_EVENTS)


@pytest.mark.parametrize("name", ["Order Completed", "Product Viewed"])
def test_a_shop_with_too_little_has_no_model_and_never_a_zero(shop, name):
    """With orders alone there is nothing to say; with visits that never end with an order the run says why."""
    ingest_events(shop, hourly(name), received_at=datetime(2024, 3, 1, tzinfo=UTC))
    view = facts_at(shop, datetime(2024, 3, 1, tzinfo=UTC))
    result = build_session_conversion(view)
    assert result.backtests.num_rows == 0
    assert not (shop.folder / "models").exists() or not list((shop.folder / "models").rglob("*.json"))
    if name == "Order Completed":
        assert result.unanswered == ()
    else:
        assert "400 visits, 0 of them with an order" in result.unanswered[0]
