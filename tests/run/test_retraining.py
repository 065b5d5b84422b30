"""When models are trained again: a run trains, and one a day later scores with what it trained."""

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from workspace_copies import copy_workspace

from patron import decide, predict
from patron.answers.models.expected_season import show_expected_season
from patron.answers.models.fairness import fairness
from patron.answers.models.metrics_by_group import metrics_by_group
from patron.answers.models.model_versions import model_versions
from patron.answers.models.models import models_of
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.commands.models.enter_season import enter_season
from patron.commands.models.manage_models import release, roll_back
from patron.decide.fair_churn import read_past_churn
from patron.govern.access.request_context import RequestContext
from patron.interfaces.i18n.formats import Formats
from patron.predict.category_needs import LEARNERS as OF_NEEDS
from patron.predict.category_needs.pair_rows import FEATURE_VERSION
from patron.predict.prediction_intervals import IntervalEnds
from patron.predict.retraining import plan_training, train_or_reuse
from patron.predict.scoring import reuse
from patron.predict.survival.early_warnings import read_forecasts
from patron.predict.value.season_prior import SEASONAL_QUESTIONS
from patron.run import run_loop, stage_view
from patron.schema.models.questions import (
    CATEGORY_PURCHASE,
    CATEGORY_SPEND,
    CHURN,
    CONTRACT_CHURN,
    MESSAGE_RESPONSE,
    PROSPECTS,
    QUESTIONS,
    RECOMMEND,
    SESSION_CONVERSION,
    VALUE,
)
from patron.schema.numbers import float_column
from patron.schema.tables import (
    ALARM,
    BACKTESTS,
    DUE,
    FIRST,
    MODEL_ALARMS,
    NEW_SEASON,
    OTHER_FEATURES,
    PAST_FORECASTS,
    RECENT,
    REQUESTED,
    TRAININGS,
    UNUSABLE,
)
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.models import model_registry
from patron.storage.models.season_calendars import WEEK, SeasonSpan, monday_of
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run, run_as_of
from patron.storage.runs.runs import Run
from patron.storage.shop import POLICY_FILE, Shop
from patron_command import run_patron

pytestmark = pytest.mark.xdist_group("retraining")
DAY = timedelta(days=1)
OF_CATEGORIES = {CATEGORY_PURCHASE.name, CATEGORY_SPEND.name}
OF_CUSTOMERS = {one.name for one in QUESTIONS if not one.is_ranking and one is not PROSPECTS}


@pytest.fixture(scope="module")
def shop_and_output(tmp_path_factory):
    """A shop with a run that trained and one of the next day that did not, and what `patron run` printed of that."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        settings = replace(DEFAULT_SHOP, customers=90, visits_per_day=0.0, sensitive_group_share=0.4)
        Shop.create(folder / "w").close()
        write_rules(folder / "w", settings, budget_cents=100_000)
        with (folder / "w" / POLICY_FILE).open("a", encoding="utf-8") as policy:
            policy.write('\n[fairness]\nsensitive_traits = ["gender"]\nfewest_customers = 20\n')
        world = ShopSimulator(settings, seed=5)
        shop = Shop.open(folder / "w")
        ingest_events(shop, world.history(330), received_at=world.now)
        run_loop(shop, world.now - DAY)
        yield shop, run_patron("run", "--as-of", world.now.isoformat(), "--workspace", shop.folder).out
        shop.close()


@pytest.fixture(scope="module")
def shop(shop_and_output):
    return shop_and_output[0]


@pytest.fixture(scope="module")
def first(shop):
    """The run that trained."""
    return run_as_of(shop, last_run(shop).run.as_of - DAY)


@pytest.fixture(scope="module")
def second(shop):
    """The run of the next day."""
    return last_run(shop)


def of_run(view, table, condition="true"):
    return view.query(f"select * from {table} where run_id = '{view.run.run_id}' and {condition}")


def test_early_warnings_are_of_the_forecasts_of_the_training(shop, first, second):
    of_first, of_second = (read_forecasts(stage_view(shop, predict, run=view.run)) for view in (first, second))
    assert len(of_first.customers) > 0
    assert of_second.days_since_last_order.tolist() == of_first.days_since_last_order.tolist()
    assert all(of_second.by_rule[rule].tolist() == of_first.by_rule[rule].tolist() for rule in of_first.by_rule)


def test_the_first_run_trains_and_the_next_scores_everybody_with_its_models(first, second):
    for view, reason in ((first, FIRST), (second, RECENT)):
        trainings = of_run(view, "trainings").to_pylist()
        assert {row["question"] for row in trainings} >= OF_CUSTOMERS
        assert {(row["trained_run_id"], row["reason"]) for row in trainings} == {(first.run.run_id, reason)}
        models = {row["model_version"] for row in of_run(view, "scores").to_pylist()}
        for table in ("affinities", "category_needs"):
            models |= {row["model_version"] for row in of_run(view, table).to_pylist()}
        used = {row["question"] for row in trainings} - {CATEGORY_SPEND.name}  # needs name the model of the purchase
        assert models == {f"{question}/{first.run.run_id}" for question in used}
    assert of_run(second, "scores", f"question = '{CHURN.name}'")["as_of"][0].as_py() == second.run.as_of


def test_a_run_that_does_not_train_measures_nothing_and_shows_what_its_models_were_measured_by(first, second):
    assert of_run(second, "backtests").num_rows == 0
    shown, before = ({one.question: one for one in models_of(view).questions} for view in (second, first))
    for question in OF_CUSTOMERS | OF_CATEGORIES:
        assert shown[question].board == before[question].board != ()
        assert shown[question].card == before[question].card != {}
        assert shown[question].model_version == f"{question}/{first.run.run_id}"
    groups = [row for row in metrics_by_group(second) if row.question in OF_CUSTOMERS]
    assert groups
    assert groups == [row for row in metrics_by_group(first) if row.question in OF_CUSTOMERS]


def test_what_follows_from_forecasts_and_past_forecasts_is_there_without_a_training(shop, first, second):
    for table in ("reasons", "churn_drivers", "partial_dependence", "next_orders", "shop_forecasts", "value_at_risk"):
        assert of_run(second, table).num_rows, table
    for table in ("stage_values", "stage_transitions"):  # from the same past forecasts, and the same outcomes
        rows = [{**row, "run_id": ""} for row in of_run(second, table).to_pylist()]
        assert rows == [{**row, "run_id": ""} for row in of_run(first, table).to_pylist()] != []
    assert set(of_run(second, "segments")["stage_basis"].to_pylist()) == {"forecast"}
    fairness = [read_past_churn(stage_view(shop, decide, run=view.run)) for view in (first, second)]
    assert len(fairness[0].forecast)
    assert np.array_equal(fairness[0].forecast, fairness[1].forecast)


def test_a_customer_who_turned_out_to_be_somebody_else_is_in_no_past_forecast(shop, first, second):
    rows = of_run(first, "past_forecasts").cast(PAST_FORECASTS.schema())
    nobody = pa.Table.from_pylist([rows.to_pylist()[0] | {"customer_id": "nobody"}], schema=rows.schema)
    shop.lake.replace(PAST_FORECASTS, pa.concat_tables([rows, nobody]), part=first.run.run_id)
    try:
        past = read_past_churn(stage_view(shop, decide, run=second.run))
        assert len(past.forecast) == rows.num_rows
        assert "nobody" not in past.customers
    finally:
        shop.lake.replace(PAST_FORECASTS, rows, part=first.run.run_id)


def test_the_command_line_trains_again_when_it_is_wanted_and_says_so(shop_and_output, second, tmp_path):
    shop, output = shop_and_output
    trained_on = Formats("en", "USD", "UTC").date(second.run.as_of - DAY)
    assert f"The forecasts come from the models as trained on {trained_on}" in " ".join(output.split())
    assert "This run trained" not in output
    copy = copy_workspace(shop.folder, tmp_path / "w")
    next_day = second.run.as_of + DAY
    result = run_patron("run", "--as-of", next_day.isoformat(), "--retrain", "--workspace", copy)
    assert result.code == 0
    assert "This run trained the models again, as requested." in result.out
    with closing(Shop.open(copy)) as wanted:
        trainings = of_run(last_run(wanted), "trainings").to_pylist()
        rows = of_run(last_run(wanted), "backtests")
    assert {row["question"] for row in trainings} >= OF_CUSTOMERS
    assert {(row["reason"], row["trained_at"]) for row in trainings} == {(REQUESTED, next_day)}
    assert set(rows["question"].to_pylist()) >= OF_CUSTOMERS


def test_kept_intervals_are_those_of_the_training(shop, first, second):
    scores = of_run(first, "scores", f"question = '{VALUE.name}' order by customer_id")
    kept = model_registry.intervals(shop.folder / "models", shop.store, f"{VALUE.name}/{first.run.run_id}")
    low, high = IntervalEnds(**kept).interval(float_column(scores, "value"))
    assert low.tolist() == scores["low"].to_pylist()
    assert high.tolist() == scores["high"].to_pylist()
    later = of_run(second, "scores", f"question = '{VALUE.name}'")
    assert later["low"].null_count == later["high"].null_count == 0


def view_at(shop, days, **options):
    """What predict sees in a run some days after the second."""
    return stage_view(shop, predict, run=Run.at(last_run(shop).run.as_of + timedelta(days=days)), **options)


def version(view):
    """Feature version of the last run."""
    return view.query("select max(feature_version) as v from features")["v"][0].as_py()


def reason(view, question=CHURN):
    return plan_training(view, question, version(view))[0].reason


def test_a_season_that_people_enter_trains_the_models_that_know_of_it(shop, second, tmp_path):
    copy = copy_workspace(shop.folder, tmp_path / "w")
    entered_at = second.run.as_of + DAY / 2
    monday = monday_of(entered_at.date())
    with closing(Shop.open(copy)) as opened:
        assert reason(view_at(opened, 1)) == RECENT
        lines = SeasonSpan(monday, monday + 9 * WEEK, 1.8, "sure").line
        enter_season(RequestContext.from_name(opened, "Ann", now=entered_at), lines)
        assert [reason(view_at(opened, days)) for days in (0.4, 1)] == [RECENT, NEW_SEASON]
        assert answer_category_purchase(view_at(opened, 1)).training.reason == RECENT
        assert show_expected_season(AnswerCache(opened)).trust is None
    result = run_patron("run", "--as-of", (second.run.as_of + DAY).isoformat(), "--workspace", copy)
    assert "because somebody entered another season" in result.out
    with closing(Shop.open(copy)) as opened:
        reasons = {row["question"]: row["reason"] for row in of_run(last_run(opened), "trainings").to_pylist()}
        assert {name for name, why in reasons.items() if why == NEW_SEASON} == SEASONAL_QUESTIONS
        assert show_expected_season(AnswerCache(opened)).trust > 0.9
        (now,) = of_run(last_run(opened), "shop_forecasts").to_pylist()
        (before,) = of_run(second, "shop_forecasts").to_pylist()
    assert now["season"] > before["season"] + 0.2
    assert now["value"] > before["value"] * 1.1
    assert before["calendar_trust"] is None
    assert reason(view_at(shop, 1)) == RECENT, "the copy's season is not this shop's"


def test_a_model_is_due_after_the_days_of_the_policy(shop):
    almost = 6 - 1 / 24  # nightly runs begin some seconds, in spring an hour, earlier than the night before
    assert [reason(view_at(shop, days)) for days in (5, almost, 6)] == [RECENT, DUE, DUE]
    before = shop.policy
    try:
        shop.policy = before.model_copy(update={"models": before.models.model_copy(update={"retrain_days": 1})})
        assert reason(view_at(shop, 1)) == DUE
    finally:
        shop.policy = before


class Trained(Exception):
    """A training was begun."""


def answer_category_purchase(view, feature_version=FEATURE_VERSION):
    """What answers a question of another grain than customers; raises Trained where it would be trained."""

    def train():
        raise Trained

    name = CATEGORY_PURCHASE.name
    return train_or_reuse(
        view, CATEGORY_PURCHASE, OF_NEEDS[name], feature_version=feature_version, tables=("orders",), train=train
    )


def test_questions_of_other_grains_keep_their_model_between_trainings(shop, first):
    model = answer_category_purchase(view_at(shop, 1))
    assert (model.training.model_version, model.training.reason) == (f"category_purchase/{first.run.run_id}", RECENT)
    assert model.backtests.num_rows == 0
    kept = {
        name.partition("/")[0] for name in model_registry.model_versions(shop.store) if first.run.run_id not in name
    }
    assert not kept & (OF_CUSTOMERS | OF_CATEGORIES | {RECOMMEND.name})


def test_questions_of_other_grains_are_trained_when_those_of_customers_are(shop, first):
    for view, version in (
        (view_at(shop, 6), FEATURE_VERSION),
        (view_at(shop, 1, is_retraining=True), FEATURE_VERSION),
        (view_at(shop, 1), "other"),
    ):
        with pytest.raises(Trained):
            answer_category_purchase(view, version)
    file = shop.folder / "models" / CATEGORY_PURCHASE.name / first.run.run_id / model_registry.INTERVALS
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    try:
        with pytest.raises(Trained):
            answer_category_purchase(view_at(shop, 1))
    finally:
        file.write_bytes(content)
    for question in (SESSION_CONVERSION, MESSAGE_RESPONSE, CONTRACT_CHURN):  # this shop has had no model of them
        assert plan_training(view_at(shop, 1), question, "1", ())[0].reason == FIRST


def test_models_that_an_earlier_run_trained_are_in_use(shop, first):
    in_use = {one.model_version for one in model_versions(shop) if one.is_in_use}
    assert in_use >= {f"{name}/{first.run.run_id}" for name in OF_CUSTOMERS | OF_CATEGORIES | {RECOMMEND.name}}


def test_a_run_that_is_run_again_decides_as_it_did(shop):
    assert [reason(view_at(shop, days)) for days in (-1, 0)] == [FIRST, RECENT]


def test_a_training_that_somebody_wanted_is_not_lost_when_the_run_is_run_again(shop, second):
    trainings = of_run(second, "trainings")
    wanted = [
        {**row, "trained_run_id": second.run.run_id, "trained_at": second.run.as_of, "reason": REQUESTED}
        for row in trainings.to_pylist()
    ]
    shop.lake.replace(TRAININGS, pa.Table.from_pylist(wanted, schema=TRAININGS.schema()), part=second.run.run_id)
    try:
        training, kept = plan_training(view_at(shop, 0), CHURN, version(view_at(shop, 0)))
        assert (training.reason, training.trained_run_id, kept) == (REQUESTED, second.run.run_id, None)
    finally:
        shop.lake.replace(TRAININGS, trainings.cast(TRAININGS.schema()), part=second.run.run_id)


def test_groups_of_a_run_without_a_training_are_those_of_the_champion_and_not_of_a_pin(first, second):
    for view in (first, second):
        compared = fairness(view)
        assert compared is not None
        assert compared.results
        assert not compared.is_pinned


def test_somebody_who_wants_a_training_gets_one(shop):
    training, kept = plan_training(view_at(shop, 1, is_retraining=True), CHURN, "v")
    assert (training.reason, training.trained_at, kept) == (REQUESTED, last_run(shop).run.as_of + DAY, None)


def test_only_a_new_alarm_about_calibration_asks_for_a_training(shop, first, second):
    same = {"part": "mean", "before": 0.1, "now": 0.4, "value": 3.0, "allowed": 1.0, "since": second.run.as_of}
    same |= {"customer_count": 9, "related": []}

    def write_alarm(run, kind, subject):
        row = {"run_id": run.run_id, "kind": kind, "subject": subject} | same
        shop.lake.replace(MODEL_ALARMS, pa.Table.from_pylist([row], schema=MODEL_ALARMS.schema()), part=run.run_id)

    version_before = shop.lake.version(MODEL_ALARMS)
    assert version_before is not None
    for kind, subject in (("data", "order_count_30_days"), ("scores", CHURN.name)):
        write_alarm(second.run, kind, subject)
        assert reason(view_at(shop, 1)) == RECENT
    write_alarm(second.run, "calibration", CHURN.name)
    assert [reason(view_at(shop, 1), question) for question in (CHURN, VALUE)] == [ALARM, ALARM], "value is its product"
    write_alarm(second.run, "calibration", CATEGORY_PURCHASE.name)
    with pytest.raises(Trained):
        answer_category_purchase(view_at(shop, 1))
    write_alarm(second.run, "calibration", CHURN.name)
    write_alarm(first.run, "calibration", CHURN.name)  # it was there when the model was trained
    assert reason(view_at(shop, 1)) == RECENT


def test_a_model_that_cannot_score_is_trained_again(shop, first):
    view = view_at(shop, 1)
    assert plan_training(view, CHURN, "other")[0].reason == OTHER_FEATURES
    folder = shop.folder / "models" / CHURN.name / first.run.run_id
    shutil.copytree(folder, shop.folder / "copy")
    try:
        (folder / model_registry.INTERVALS).write_bytes(b"{}")
        assert reason(view) == UNUSABLE
    finally:
        shutil.rmtree(folder)
        (shop.folder / "copy").rename(folder)
    assert reason(view) == RECENT


def test_a_pinned_model_scores_instead_of_the_champion_that_is_used_again(shop, first, second):
    roll_back(shop, CHURN.name, version=first.run.run_id, reason="as a test", now=second.run.as_of)
    try:
        view = view_at(shop, 1)
        training, kept = plan_training(view, CHURN, version(view))
        champion = reuse(view, CHURN, training, kept)
        assert champion.is_pinned
        assert (champion.model_version, training.reason) == (f"{CHURN.name}/{first.run.run_id}", RECENT)
    finally:
        release(shop, CHURN.name, now=second.run.as_of)


def test_a_model_that_no_past_cutoff_could_check_is_trained_in_every_run(shop, first):
    rows = shop.lake.read(BACKTESTS)
    others = of_run(first, "backtests", f"question <> '{CHURN.name}'")
    shop.lake.replace(BACKTESTS, others.cast(BACKTESTS.schema()), part=first.run.run_id)
    try:
        assert reason(view_at(shop, 1)) == "unproven"
    finally:
        mine = rows.filter(pc.equal(rows["run_id"], first.run.run_id))
        shop.lake.replace(BACKTESTS, mine.cast(BACKTESTS.schema()), part=first.run.run_id)
