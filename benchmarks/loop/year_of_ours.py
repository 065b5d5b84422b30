"""A year of monthly runs of the real loop on a simulated shop: the world 'ours' of `year_of_runs.py`, by itself.

It runs in a process of its own, so that the product's code can be any checkout (PYTHONPATH), and writes what was
decided and measured; money is counted elsewhere, with one simulator for all checkouts. Of a run it takes the steps
that offers depend on: no recommendations, no explanations of customers, no charts, no lists.

    PYTHONPATH=<checkout>/src python benchmarks/loop/year_of_ours.py <folder for results> <seed> <shop as JSON>
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from patron import run
from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import ingest_events, offers_in_outbox, write_rules
from patron.predict.predict_stage import Summary, answer_questions, training_rows
from patron.predict.purchase.coherent_probabilities import coherent_scores
from patron.schema.tables.forecast_tables import LIFECYCLE_STAGES
from patron.simulate import simulator_settings
from patron.simulate.simulator import ShopSimulator
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import POLICY_FILE, Shop
from patron.understand.cutoffs import build_cutoffs

MONTHS, MONTH_DAYS = 12, 30
AT_RISK, EVERYONE = (f"lifecycle_stages = {json.dumps(stages)}" for stages in (["at_risk", "lapsed"], LIFECYCLE_STAGES))
"""Whom the policy considers."""
MODELS = "\n[models]\nretrain_days = 365\n"
"""The first run trains; its models score the year."""
STEPS_LEFT_OUT = {"customer value", "survival", "alarms"}
LEFT_OUT = {
    "build_run_prospects",
    "build_stage_transitions",
    "check_forecasts",
    "measure_drift",
    "measure_lists",
    "write_recommendations",
}
"""Functions of the other steps that offers do not depend on; a new function of a step is run."""
ANSWERED = ("scores", "past_forecasts", "backtests")
"""Tables of forecasts that offers depend on."""


def forecast(view: StageView) -> Summary:
    """Answer the questions about customers, and write what offers depend on."""
    with threadpool_limits(limits=1, user_api="blas"):
        answers, unanswered = answer_questions(view)
    scores = coherent_scores([answer.scores for answer in answers])
    view.write("scores", pa.concat_tables(scores))
    for name in ANSWERED[1:]:
        view.write(name, pa.concat_tables([getattr(answer, name) for answer in answers]))
    view.write("trainings", training_rows(view.run.run_id, [answer.summary.training for answer in answers]))
    return Summary(tuple(answer.summary for answer in answers), tuple(unanswered))


def build_own_cutoff(view: StageView) -> None:
    """Write the run's own cutoff: a run that trains no model needs no past ones."""
    build_cutoffs(view, [view.run.as_of])


def needed_steps(every: tuple[run.Step, ...], *, is_training: bool) -> tuple[run.Step, ...]:
    """The steps of a run without what offers do not depend on."""
    steps = []
    for step in every:
        if step.name in STEPS_LEFT_OUT:
            continue
        functions = (forecast,) if step.name == "predict" else step.functions
        if step.name == "cutoffs" and not is_training:
            functions = (build_own_cutoff,)
        steps.append(
            replace(step, functions=tuple(function for function in functions if function.__name__ not in LEFT_OUT))
        )
    return tuple(steps)


def opened_shop(folder: Path, seed: int, shop_settings: dict[str, int | str]) -> tuple[Shop, ShopSimulator]:
    """A workspace whose ids follow from the seed, with the shop's history."""
    os.environ["PATRON_MASTER_KEY"] = hashlib.sha256(f"simulated shop {seed}".encode()).hexdigest()
    os.environ["XDG_CONFIG_HOME"] = str(folder / "configuration")
    settings = replace(
        getattr(simulator_settings, str(shop_settings["shop"])), customers=int(shop_settings["customers"])
    )
    workspace = folder / "shop"
    create(workspace, {"name": f"Shop {seed}", "currency": "USD", "time_zone": "UTC"})
    write_rules(workspace, settings, budget_cents=int(shop_settings["budget_cents"]))
    policy = (workspace / POLICY_FILE).read_text(encoding="utf-8")
    if shop_settings.get("is_for_everyone"):
        assert AT_RISK in policy
        policy = policy.replace(AT_RISK, EVERYONE)
    (workspace / POLICY_FILE).write_text(policy + MODELS, encoding="utf-8")
    shop, world = Shop.open(workspace), ShopSimulator(settings, seed)
    ingest_events(shop, world.history(int(shop_settings["history_days"])), received_at=world.now)
    return shop, world


def decisions_of(shop: Shop, run_id: str) -> pa.Table:
    """What the run decided for each customer it considered."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    return snapshot.query(
        "select decision_id, customer_id, action, cost_cents, reason, is_holdout from decisions"
        f" where run_id = '{run_id}' order by customer_id"
    )


def measured_effects(shop: Shop, run_id: str) -> list[dict[str, object]]:
    """The rows of `effects` that are over all strata."""
    snapshot = shop.snapshot()
    assert snapshot is not None
    rows = snapshot.query(f"select * from effects where run_id = '{run_id}' and stratum = 'all' order by offer")
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows.to_pylist()
    ]


def play_year(folder: Path, seed: int, shop_settings: dict[str, int | str]) -> tuple[pa.Table, dict[str, object]]:
    """Decisions of all months, with the user id and time of those that reached a customer; and what was measured."""
    every = run.STEPS
    shop, world = opened_shop(folder, seed, shop_settings)
    months = []
    seconds: dict[str, float] = {}
    for month in range(MONTHS):
        now = world.now
        run.STEPS = needed_steps(every, is_training=month == 0)
        finished = run.run_loop(shop, now)
        offers = offers_in_outbox(shop.folder, finished.run_id, now)
        events = world.advance(now + timedelta(days=MONTH_DAYS), offers if offers.num_rows else None)
        ingest_events(shop, events, received_at=world.now)
        decided = decisions_of(shop, finished.run_id)
        at = pc.index_in(decided["decision_id"], offers["decision_id"].combine_chunks())
        user = offers["user_id"].combine_chunks().take(at.combine_chunks())
        decided = decided.append_column("user_id", user).append_column("month", pa.array([month] * len(decided)))
        months.append(decided)
        for name, value in finished.seconds_by_step.items():
            seconds[name] = seconds.get(name, 0.0) + value
    last = run.run_loop(shop, world.now)
    facts = {"effects": measured_effects(shop, last.run_id), "seconds_by_step": seconds}
    shop.close()
    return pa.concat_tables(months), facts


def write_year(folder: str, seed: str, shop_settings: str) -> None:
    """Play the year and write decisions.parquet and facts.json into the folder."""
    with tempfile.TemporaryDirectory() as place:
        decisions, facts = play_year(Path(place), int(seed), json.loads(shop_settings))
    pq.write_table(decisions, Path(folder) / "decisions.parquet")
    facts["processor_seconds"] = time.process_time()
    (Path(folder) / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    write_year(*sys.argv[1:])
