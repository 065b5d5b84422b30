from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.predict.extras import with_extra

from patron.predict import READS, WRITES, predict_stage, scoring
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.predict.learners import LEARNERS
from patron.predict.value.probability_times_spend import SPEND_MODELS, ProbabilityTimesSpend
from patron.predict.value.value_baselines import LastNinetyDays
from patron.schema.errors import NotEnoughData, NotFound
from patron.schema.models.questions import CHURN, PROSPECTS, QUESTIONS, VALUE
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.duck_engine import DuckEngine
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

OF_CUSTOMERS = tuple(one for one in QUESTIONS if not one.is_ranking and one is not PROSPECTS)


def write_facts(shop, lines, features, run):
    """Put order lines and features into the lake as understand would."""
    count = lines.num_rows
    names = [f"l{place}" for place in range(count)]
    line_columns = {
        "line_id": names,
        "customer_id": lines["customer_id"],
        "is_identified": [True] * count,
        "order_id": names,
        "product_id": [f"p{place % 40}" for place in range(count)],
        "ordered_at": lines["ordered_at"],
        "occurred_at": lines["ordered_at"],
        "known_at": lines["ordered_at"],
        "quantity": [1] * count,
        "gross_cents": lines["paid_cents"],
        "discount_cents": [0] * count,
        "paid_cents": lines["paid_cents"],
        "has_coupon": [False] * count,
        "has_price": [True] * count,
        "is_refund": [False] * count,
    }
    known = pc.less(lines["ordered_at"], pa.scalar(run.as_of, lines["ordered_at"].type))
    shop.lake.replace(BY_NAME["order_lines"], fitting("order_lines", pa.table(line_columns).filter(known)))
    features = features.drop_columns(["sample_key"])  # a run makes its own
    features = features.append_column("run_id", pa.array([run.run_id] * features.num_rows))
    features = features.append_column("feature_version", pa.array(["v1"] * features.num_rows))
    cutoffs = features.select(["run_id", "customer_id", "as_of"])
    shop.lake.replace(BY_NAME["cutoffs"], fitting("cutoffs", cutoffs), part=run.run_id)
    shop.lake.replace(BY_NAME["features"], fitting("features", features), part=run.run_id)


def fitting(name, rows):
    return validated(BY_NAME[name], rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, lines, features_maker, past_cutoffs, run_cutoff):
    """A shop with one run of predict behind it."""
    shop = Shop.create(tmp_path_factory.mktemp("shop") / "w")
    run = Run.at(run_cutoff)
    write_facts(shop, lines, features_maker(lines, past_cutoffs), run)
    view = shop.view(READS, WRITES, run=run)
    return view, predict_stage.run(view)


def with_probabilities(view):
    """Features of the run, and what its churn forecasts."""
    features = scoring.read_features(view, "features")
    return replace(features, probabilities=scoring.OrderProbabilities.of(scoring.answer(view, CHURN, features)))


def test_the_value_of_everybody_is_their_probability_of_an_order_times_a_spend_that_buyers_have_shown(finished):
    """Before, value and churn were models apart: somebody unlikely to order could be worth more than an order."""
    view, _ = finished
    scores = view.read("scores").to_pylist()
    value, churn = (
        {row["customer_id"]: row["value"] for row in scores if row["question"] == name} for name in ("value", "churn")
    )
    assert value.keys() == churn.keys()
    labelled = scoring.with_labels(view, VALUE, scoring.read_features(view, "features").known)
    paid = [label for label in labelled["label"].to_pylist() if label]
    spend = np.array([value[who] / (1 - churn[who]) for who in value])
    assert min(paid) < spend.min()
    assert spend.max() < max(paid)
    likely = np.array([1 - churn[who] for who in value])
    assert spend[likely < 0.2].mean() < 1.2 * spend[likely > 0.5].mean()


def test_value_is_trained_whenever_churn_is_and_churn_whenever_value_is(finished):
    view, summary = finished
    trainings = {one.question: one.training for one in summary.answered}
    assert trainings["value"].trained_run_id == trainings["churn"].trained_run_id == view.run.run_id


def test_without_a_forecast_of_churn_a_rule_stands_in_for_value_and_no_cutoff_proves_it(finished):
    view, _ = finished
    found = scoring.answer(view, VALUE, scoring.read_features(view, "features"))
    assert found.summary.champion == LastNinetyDays.name
    assert found.summary.value is None


def test_every_customer_is_scored_once_a_question(finished):
    view, summary = finished
    scores, features = view.read("scores"), view.read("features")
    now = features.filter(pc.equal(features["as_of"], pa.scalar(view.run.as_of, features["as_of"].type)))
    assert [one.question for one in summary.answered] == [question.name for question in OF_CUSTOMERS]
    for question in OF_CUSTOMERS:
        question_scores = scores.filter(pc.equal(scores["question"], question.name))
        scored = DuckEngine().query(f"select customer_id from now where {question.population}", {"now": now})
        assert sorted(question_scores["customer_id"].to_pylist()) == sorted(scored["customer_id"].to_pylist())
    churn = scores.filter(pc.equal(scores["question"], "churn"))
    assert pc.max(now["days_since_last_order"]).as_py() > 180
    assert churn.num_rows == now.num_rows, "also those without an order in half a year"


def test_scores_have_intervals_for_amounts_and_reasons(finished):
    view, _ = finished
    scores = view.read("scores")
    amounts = scores.filter(pc.equal(scores["question"], "value"))
    low, high, forecast = (amounts[name].to_numpy() for name in ("low", "high", "value"))
    assert ((low <= forecast) & (forecast <= high)).all()
    assert scores.filter(pc.equal(scores["question"], "churn"))["low"].null_count > 0
    assert any(reasons for reasons in amounts["reasons"].to_pylist())


def test_reasons_are_of_those_with_a_raised_churn_probability_and_drivers_count_all_of_them(finished):
    view, _ = finished
    churn = {row["customer_id"]: row["value"] for row in view.read("scores").to_pylist() if row["question"] == "churn"}
    raised = {who for who, value in churn.items() if value >= min(0.5, np.mean(list(churn.values())))}
    reasons, drivers = view.read("reasons").to_pylist(), view.read("churn_drivers").to_pylist()
    assert reasons
    assert {row["customer_id"] for row in reasons} <= raised
    assert {row["question"] for row in reasons} == {"churn"}
    assert sum(row["customer_count"] for row in drivers) == len(raised)
    assert sum(row["share"] for row in drivers) == pytest.approx(1)
    assert {row["question"] for row in view.read("partial_dependence").to_pylist()} == {"churn"}


def test_a_run_run_again_ends_the_same(finished):
    view, summary = finished
    order = [("question", "ascending"), ("customer_id", "ascending")]
    before, backtests = view.read("scores").sort_by(order), view.read("backtests")
    assert predict_stage.run(view) == summary
    assert view.read("scores").sort_by(order).equals(before)
    assert view.read("backtests").num_rows == backtests.num_rows


def test_a_kept_model_forecasts_what_was_scored_and_has_a_card(finished):
    view, summary = finished
    kept = next(one for one in summary.answered if one.question == "value")
    scores, features = view.read("scores"), view.read("features")
    fitted = model_registry.load(view.models_folder, view.declared_store, "value", view.run.run_id, LEARNERS["value"])
    now = features.filter(pc.equal(features["as_of"], pa.scalar(view.run.as_of, features["as_of"].type)))
    now = now.sort_by("customer_id")
    value_scores = scores.filter(pc.equal(scores["question"], "value")).sort_by("customer_id")
    churn_scores = scores.filter(pc.equal(scores["question"], "churn")).sort_by("customer_id")
    now = now.append_column(ORDER_PROBABILITY, pa.array(1 - churn_scores["value"].to_numpy()))
    assert np.array_equal(fitted.predict(now)["forecast"].to_numpy(), value_scores["value"].to_numpy())
    card = model_registry.card(view.models_folder, view.declared_store, kept.model_version)
    assert kept.champion == card["learner"]
    assert kept.why == card["why"]
    text = (view.models_folder / kept.model_version / "card.md").read_text(encoding="utf-8")
    assert "| rmse |" in text


@pytest.mark.parametrize("model", [with_extra(one) for one in SPEND_MODELS], ids=lambda one: one.name)
def test_whoever_is_champion_customers_add_up_to_the_shop_with_its_interval(finished, model):
    """Before, only the stack's forecasts added up to a total with an interval."""
    view, _ = finished
    learners = (LastNinetyDays(), ProbabilityTimesSpend(model))
    result = scoring.answer(view, VALUE, with_probabilities(view), learners)
    assert result.summary.champion == model.name
    row = result.shop_forecast.to_pylist()[0]
    assert row["value"] == pytest.approx(sum(result.scores["value"].to_pylist()))
    assert row["low"] < row["value"] < row["high"]
    assert not row["is_season_observed"], "300 days are no year"


def test_the_backtest_of_a_run_lists_champion_and_baseline(finished):
    view, summary = finished
    rows = view.read("backtests").to_pylist()
    for one in summary.answered:
        question_rows = [row for row in rows if row["question"] == one.question and row["origin"] == "all"]
        assert {row["champion"] for row in question_rows} == {one.champion}
        assert one.baseline in {row["learner"] for row in question_rows}


def test_every_measure_of_champion_and_baselines_has_an_interval_and_so_has_what_intervals_held(finished):
    view, summary = finished
    rows = [row for row in view.read("backtests").to_pylist() if row["origin"] == "all"]
    (champion,) = {row["champion"] for row in rows if row["question"] == "value"}
    by_metric = {row["metric"]: row for row in rows if row["question"] == "value" and row["learner"] == champion}
    assert set(by_metric) >= {
        "rmse",
        "mae",
        "bias_share",
        "normalised_gini",
        "spearman",
        "decile_mape",
        "interval_coverage",
    }
    assert all(row["low"] <= row["high"] for row in by_metric.values())
    assert 0.6 < by_metric["interval_coverage"]["low"] <= by_metric["interval_coverage"]["value"] <= 1
    naive = [row for row in rows if row["question"] == "value" and row["learner"] == summary.answered[0].baseline]
    assert all(row["low"] is not None for row in naive)


def test_no_half_written_model_is_left(finished):
    view, _ = finished
    folders = [path.name for path in (view.models_folder).glob("*/*")]
    assert folders
    assert not [name for name in folders if name.startswith(".")]


def test_an_unknown_model_is_not_found(finished):
    view, _ = finished
    with pytest.raises(NotFound, match="no model 1999-01-01 of value"):
        model_registry.load(view.models_folder, view.declared_store, "value", "1999-01-01", LEARNERS["value"])
    assert model_registry.card(view.models_folder, view.declared_store, "value/1999-01-01") == {}


def test_a_first_run_scores_with_the_simplest_learner_and_says_so(tmp_path, lines, features_maker, run_cutoff):
    shop = Shop.create(tmp_path / "young")
    run = Run.at(run_cutoff - timedelta(days=200))
    write_facts(shop, lines, features_maker(lines, [run.as_of]), run)
    summary = predict_stage.run(shop.view(READS, WRITES, run=run))
    answered = {one.question: one for one in summary.answered}
    assert answered["value"].champion == "stacked_spend"
    assert "too little history" in answered["value"].why
    unanswered = [reason.partition(":")[0] for reason in summary.unanswered]
    assert {answered[name].champion for name in ("churn", "purchase")} == {"averaged"}
    assert sorted([*answered, *unanswered]) == sorted([*(one.name for one in OF_CUSTOMERS), "category_purchase"])


def test_a_run_without_customers_is_refused(tmp_path, run_cutoff):
    shop = Shop.create(tmp_path / "empty")
    with pytest.raises(NotEnoughData, match="no customer with an order"):
        predict_stage.run(shop.view(READS, WRITES, run=Run.at(run_cutoff)))
