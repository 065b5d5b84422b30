from dataclasses import replace

import pytest

from patron.answers.models.backtest_results import backtest
from patron.commands.data.demo import SimulatedDemo, demo_simulated
from patron.schema.errors import NotFound
from patron.schema.progress import silent
from patron.schema.tables import EVENTS, EXPOSURES
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("demo")  # its workspace takes long to make

SIZE = SimulatedDemo(
    replace(DEFAULT_SHOP, customers=120, visits_per_day=0.0), history_days=180, months=1, budget_cents=50_000
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    done = demo_simulated(tmp_path_factory.mktemp("demo") / "w", SIZE, progress=silent)
    yield done
    done.shop.close()


def test_the_demo_runs_the_loop_and_knows_what_its_offers_changed(shown):
    assert [run.run_id for run in shown.runs] == ["2024-06-29", "2024-07-29"]
    truth, profit = shown.truth
    assert truth.startswith("True effect of an offer on margin in the 28 days after it, mean of ")
    assert "The last run measured " in truth
    assert "offers in 1 months changed profit by" in profit
    assert shown.shop.lake.read(EXPOSURES).num_rows > 0


def test_offers_that_were_handed_over_come_back_as_events(shown):
    view = shown.shop.snapshot()
    rows = view.query("select count(*) as n from events where source = 'patron' and name = 'Offer Assigned'")
    assert rows["n"][0].as_py() == shown.shop.lake.read(EXPOSURES).num_rows


def test_the_last_run_measures_what_the_first_one_caused(shown):
    overall = shown.shop.snapshot().query(
        "select is_placebo, low, effect_cents, high from effects where run_id = '2024-07-29' and stratum = 'all'"
    )
    assert overall.num_rows > 0
    assert not any(overall["is_placebo"].to_pylist())
    assert all(row["low"] <= row["effect_cents"] <= row["high"] for row in overall.to_pylist())


def test_a_demo_that_is_run_again_ends_the_same(shown):
    before = shown.shop.lake.read(EVENTS).num_rows
    decided = "select decision_id, action from decisions order by decision_id"
    first = shown.shop.snapshot().query(decided).to_pylist()
    again = demo_simulated(shown.shop.folder, SIZE, progress=silent)
    assert again.shop.lake.read(EVENTS).num_rows == before
    assert again.shop.snapshot().query(decided).to_pylist() == first
    again.shop.close()


def test_every_question_is_evaluated_next_to_its_baseline(shown):
    rows = backtest(Shop.open(shown.shop.folder))
    assert {row.question for row in rows} >= {"value", "purchase"}
    assert all(row.baseline and row.metric for row in rows)
    with pytest.raises(NotFound, match="did not evaluate the question 'weather'"):
        backtest(shown.shop, "weather")
