"""The life of models: two runs of a small shop, of which the second is scored with a pinned model of the first."""

import importlib
import json
import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from patron import __version__
from patron.answers.models.metrics_by_group import metrics_by_group
from patron.answers.models.model_versions import model_detail, model_versions
from patron.answers.models.models import models
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.commands.models.manage_models import approve, release, roll_back
from patron.commands.models.verify_model import verify_model
from patron.commands.privacy.forget_models import erase_from_models
from patron.govern.access import audit_log
from patron.interfaces.console.templating import environment
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.run import require_usable_models, run_loop
from patron.schema.errors import LakeDamaged, NotFound, SettingsError, WorkspaceError
from patron.schema.tables import BACKTESTS, ORDER_LINES, SCORES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.models.model_decisions import active_pins, model_decisions
from patron.storage.models.model_registry import rewrite_files
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("model life")
REASON = "revenue forecast jumped after the price change"
DAYS, GAP = 260, 90


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop whose second run found `value` pinned to the model of the first; it is released since."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        settings = replace(DEFAULT_SHOP, customers=90)
        Shop.create(folder / "w").close()
        write_rules(folder / "w", settings, budget_cents=100_000)
        world = ShopSimulator(settings, seed=5)
        shop = Shop.open(folder / "w")
        ingest_events(shop, world.history(DAYS), received_at=world.now)
        first = run_loop(shop, world.now - timedelta(days=GAP))
        roll_back(shop, "value", version=first.run_id, reason=REASON, now=world.now)
        run_loop(shop, world.now)
        yield shop
        shop.close()


def runs(shop):
    """Names of the two runs, the older first."""
    return sorted({version.version for version in model_versions(shop)})


def test_the_pinned_model_scores_everybody_and_the_new_champion_is_judged_and_kept(shop):
    old, new = runs(shop)
    rows = [row for row in shop.lake.read(SCORES).to_pylist() if row["run_id"] == new]
    used = {
        question: {r["model_version"] for r in rows if r["question"] == question} for question in ("value", "churn")
    }
    assert used == {"value": {f"value/{old}"}, "churn": {f"churn/{new}"}}
    in_use = {
        version.model_version: version.is_in_use for version in model_versions(shop) if version.question == "value"
    }
    assert in_use == {f"value/{old}": True, f"value/{new}": False}
    judged = [row for row in shop.lake.read(BACKTESTS).to_pylist() if row["run_id"] == new]
    assert any(row["question"] == "value" and row["origin"] == "all" for row in judged)
    assert model_detail(shop, f"value/{new}").card["learner"]


def test_everybody_sees_since_when_and_why_a_model_is_pinned(shop, patron):
    old, _ = runs(shop)
    (pin,) = models(shop).pins
    assert (pin.model_version, pin.note) == (f"value/{old}", REASON)
    listed = json.loads(patron("models", "list", "--workspace", shop.folder, "--json").out)
    assert [one["model_version"] for one in listed if one["is_pinned"]] == [f"value/{old}"]
    shown = patron("models", "show", "value", "--workspace", shop.folder).out
    assert f"value/{old} (in use, pinned)" in shown
    assert REASON in shown


def test_a_list_has_each_model_with_its_backtest_next_to_the_best_baseline(shop):
    old, new = runs(shop)
    listed = [version for version in model_versions(shop) if version.question in {"purchase", "purchase_7_days"}]
    assert [one.version for one in listed] == [new, old] * 2
    newest = {version.model_version for version in model_versions(shop, most=1)}
    assert {f"value/{old}", f"value/{new}", f"purchase/{new}"} <= newest  # the first is pinned
    assert f"purchase/{old}" not in newest
    for one in listed:
        if one.version == new:
            assert one.low <= one.value <= one.high, one
            assert one.baseline_value is not None, one


def test_a_rollback_goes_one_model_back_and_is_ended_in_one_command(shop, patron):
    old, new = runs(shop)
    back = patron("models", "rollback", "churn", "--reason", "too many alarms", "--workspace", shop.folder)
    assert f"churn is pinned to churn/{old}, instead of churn/{new}." in back.out
    assert f"patron run --as-of {new}" in back.out
    with pytest.raises(NotFound, match="no earlier model"):
        roll_back(shop, "churn", version=None, reason="again", now=model_decisions(shop.store)[-1].decided_at)
    patron("models", "release", "churn", "--workspace", shop.folder)
    assert set(active_pins(shop.store)) == {"value"}
    with pytest.raises(NotFound, match="not pinned"):
        release(shop, "churn", now=model_decisions(shop.store)[-1].decided_at)
    actions = [entry.action for entry in audit_log.entries(shop.store)]
    assert actions[-2:] == ["model pinned", "model released"]
    assert "too many alarms" not in "".join(entry.details for entry in audit_log.entries(shop.store))


@pytest.mark.parametrize(
    ("question", "version", "reason", "problem", "match"),
    [
        ("recommend", None, "x", NotFound, "cannot be rolled back"),
        ("value", "2001-01-01", "x", NotFound, "Newest versions of value"),
        ("value", "../churn", "x", NotFound, "there is no model"),
        ("value", None, " ", SettingsError, "--reason"),
    ],
)
def test_what_cannot_be_rolled_back_is_refused(shop, question, version, reason, problem, match):
    before = model_decisions(shop.store)
    with pytest.raises(problem, match=match):
        roll_back(shop, question, version=version, reason=reason, now=before[-1].decided_at)
    assert model_decisions(shop.store) == before


def test_an_approval_is_shown_with_who_and_why(shop, patron):
    _, new = runs(shop)
    at = model_decisions(shop.store)[-1].decided_at
    approve(shop, f"churn/{new}", name="A. Lee", note="checked on old cohorts", now=at)
    assert [(approval.name, approval.note) for approval in models(shop).approvals] == [
        ("A. Lee", "checked on old cohorts")
    ]
    assert "approved by A. Lee" in patron("models", "show", f"churn/{new}", "--workspace", shop.folder).out


def test_a_pinned_model_that_is_damaged_stops_a_run_before_anything_is_written(shop):
    old, _ = runs(shop)
    folder = shop.folder / "models" / "value" / old
    shutil.copytree(folder, shop.folder / "copy")
    before = shop.lake.version(SCORES)
    try:
        next((folder / "model").rglob("*.*")).write_bytes(b"other")
        with pytest.raises(LakeDamaged, match="patron models release value"):
            run_loop(shop, shop.snapshot().run.as_of)
        with pytest.raises(LakeDamaged):
            roll_back(shop, "value", version=old, reason="x", now=model_decisions(shop.store)[-1].decided_at)
    finally:
        shutil.rmtree(folder)
        (shop.folder / "copy").rename(folder)
    assert shop.lake.version(SCORES) == before


def test_a_model_of_features_that_are_computed_otherwise_now_is_not_used(shop):
    settings = shop.settings
    try:
        shop.settings = settings.model_copy(
            update={"shop": settings.shop.model_copy(update={"time_zone": "Asia/Shanghai"})}
        )
        with pytest.raises(WorkspaceError, match="was fitted to other features"):
            run_loop(shop, shop.snapshot().run.as_of)
    finally:
        shop.settings = settings


def test_a_model_that_knows_a_trait_which_is_declared_sensitive_since_is_not_used(shop):
    policy = shop.policy
    try:
        shop.policy = policy.model_copy(
            update={"fairness": policy.fairness.model_copy(update={"sensitive_traits": ("country",)})}
        )
        with pytest.raises(WorkspaceError, match="list of sensitive traits"):
            run_loop(shop, shop.snapshot().run.as_of)
    finally:
        shop.policy = policy


def test_a_run_of_an_earlier_day_is_not_scored_with_a_model_that_knows_what_came_later(shop):
    old, _ = runs(shop)
    (pinned,) = [version for version in model_versions(shop) if version.model_version == f"value/{old}"]
    with pytest.raises(WorkspaceError, match="knows what happened after"):
        run_loop(shop, pinned.as_of - timedelta(days=1))


def test_an_approval_ends_when_the_model_is_another(shop):
    old, _ = runs(shop)
    at = model_decisions(shop.store)[-1].decided_at
    approve(shop, f"purchase/{old}", name="B. Wu", now=at)
    assert approved_versions(shop) >= {f"purchase/{old}"}
    rewrite_files(shop.folder / "models", shop.store, f"purchase/{old}", {"card.md": b"another card"})
    assert f"purchase/{old}" not in approved_versions(shop)


def approved_versions(shop):
    return {version.model_version for version in model_versions(shop) if version.is_approved}


def test_old_cohorts_are_judged_next_to_the_model_that_was_used_then(shop, patron):
    old, new = runs(shop)
    groups = metrics_by_group(last_run(shop))
    of_purchase = [row for row in groups if row.question == "purchase"]
    origin = shop.snapshot().run.as_of - timedelta(days=30)
    assert {row.earlier_version for row in of_purchase} == {f"purchase/{old}"}
    assert {row.origin for row in of_purchase} == {origin.strftime("%Y-%m-%d")}
    assert {row.grouping for row in of_purchase} == {"first_order", "order_count", "order_channel"}
    for row in groups:
        assert row.low <= row.value <= row.high, row
        assert row.gain == pytest.approx(row.baseline_value - row.value), row
        assert row.earlier_gain == pytest.approx(row.earlier_value - row.value), row
        assert row.customer_count >= 20
    shown = patron("models", "show", f"purchase/{new}", "--workspace", shop.folder).out
    assert f"gain over purchase/{old}" in shown.replace("\n", " ")
    assert "By group at" in (shop.folder / "models" / "purchase" / new / "card.md").read_text()


def test_groups_stand_in_the_order_of_what_they_mean(shop):
    orders = [row.group_name for row in metrics_by_group(last_run(shop)) if row.grouping == "order_count"]
    known = ["1", "2-3", "4-9", "10+"]
    assert len(set(orders)) > 2
    assert [known.index(name) for name in orders[: len(set(orders))]] == sorted(map(known.index, set(orders)))


def test_the_earlier_model_is_no_later_than_the_cutoff_that_both_forecast_from(shop):
    _, new = runs(shop)
    for row in metrics_by_group(last_run(shop)):
        assert row.earlier_version.partition("/")[2] <= row.origin < new


@pytest.mark.parametrize(
    ("locale", "pinned", "group"), [("en", "pinned", "First order"), ("zh_CN", "已锁定", "首单时间")]
)
def test_the_models_page_shows_pins_and_groups_in_both_languages(shop, locale, pinned, group):
    page, of_run = environment().get_template("models/_model_life.html").module, models(shop)
    texts, formats = words(locale), Formats(locale, "USD", "UTC")
    by_name = {question.question: question for question in of_run.questions}
    notes = page.decision_notes(of_run, by_name["value"], texts, formats)
    assert REASON in notes
    assert pinned in notes
    assert group in page.group_table(of_run, by_name["purchase"], texts, formats)
    assert not page.decision_notes(of_run, by_name["purchase"], texts, formats).strip()


def test_an_exported_model_forecasts_the_same_from_a_table_of_features(shop, patron, tmp_path):
    old, new = runs(shop)
    exported = patron("models", "export", "value", "--mlflow", tmp_path / "model", "--workspace", shop.folder)
    assert f"has value/{old}" in exported.out
    described = (tmp_path / "model" / "MLmodel").read_text()
    named = dict(line.strip().split(": ", 1) for line in described.splitlines() if not line.endswith(":"))
    loader = importlib.import_module(named["loader_module"])
    model = loader._load_pyfunc(str(tmp_path / "model" / named["data"]))
    of_run = f"where run_id = '{new}'"
    features = shop.snapshot().query(
        f"select * from features {of_run} and as_of = (select max(as_of) from features {of_run}) order by customer_id"
    )
    scores = shop.snapshot().query(f"select value from scores {of_run} and question = 'value' order by customer_id")
    assert np.isfinite(model.predict(features)).all(), "it brings the model of churn of its own run"
    of_churn = f"select value from scores {of_run} and question = 'churn' order by customer_id"
    probability = 1 - shop.snapshot().query(of_churn)["value"].to_numpy()
    of_run_now = features.append_column(ORDER_PROBABILITY, pa.array(probability))
    assert model.predict(of_run_now).tolist() == scores["value"].to_pylist()
    assert (tmp_path / "model" / "requirements.txt").read_text().endswith(f"patron[platform]=={__version__}\n")
    refused = patron("models", "export", "value", "--mlflow", tmp_path / "model", "--workspace", shop.folder)
    assert (refused.code, "is not empty" in refused.message) == (1, True)


def test_a_model_is_fitted_again_to_the_same_bytes(shop, patron):
    old, new = runs(shop)
    for name in (f"value/{old}", f"churn/{new}", f"purchase_7_days/{new}"):
        verification = verify_model(shop, name)
        assert verification.is_same, verification
        assert verification.file_count > 0
    with pytest.raises(NotFound, match="cannot be fitted again by themselves"):
        verify_model(shop, "recommend")
    shown = patron("models", "verify", f"purchase/{new}", "--workspace", shop.folder)
    assert (shown.code, "have the same bytes" in shown.out) == (0, True)


def test_a_model_that_an_erasure_changed_is_not_the_same(shop, patron):
    model = f"purchase/{runs(shop)[1]}"
    folder = shop.folder / "models" / model
    path = next(folder.rglob("model/**/*.json"))
    changed = json.dumps(json.loads(path.read_text()) | {"level": "(erased)"}).encode()
    rewrite_files(shop.folder / "models", shop.store, model, {str(path.relative_to(folder)): changed})
    shown = patron("models", "verify", model, "--workspace", shop.folder)
    assert shown.code == 1
    assert f"files differ: {path.relative_to(folder / 'model')}" in shown.out


def test_an_erasure_leaves_a_pinned_model_that_scores(shop):
    pin = active_pins(shop.store)["value"]
    channel = shop.snapshot().query("select max(channel) as channel from orders")["channel"][0].as_py()
    erased = dict(erase_from_models(shop, {channel}))
    assert erased["model files rewritten"] > 0
    files = (shop.folder / "models" / pin.model_version / "model").rglob("*.json")
    assert "(erased)" in "".join(path.read_text() for path in files)
    require_usable_models(shop, [pin.model_version], shop.snapshot().run.as_of)


def test_a_model_whose_rows_the_lake_no_longer_has_cannot_be_verified(shop):
    old, _ = runs(shop)
    shop.lake.vacuum(ORDER_LINES, retention=timedelta(0), pinned=shop.snapshot().table_version("order_lines"))
    with pytest.raises(NotFound, match="no longer has version 1 of order_lines"):
        verify_model(shop, f"churn/{old}")
