"""Seconds and memory of the values and probabilities of a million customers, by the champions of a run.

Usage: python benchmarks/predict/score_a_million.py [CUSTOMERS]. A simulated shop of some thousand customers is run; the
rows of its customers, repeated under other ids, are then scored as a run does: churn, value, and orders within 30 and 7
days, which are made to agree. What moved each forecast most is timed apart. The bar is 150 s for a million customers on
two cores.
"""

import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron import predict
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.predict.explanation import Explanation, explain
from patron.predict.pinned_models import load_model
from patron.predict.prediction_intervals import IntervalEnds
from patron.predict.purchase.coherent_probabilities import coherent_scores
from patron.predict.scoring import Champion, OrderProbabilities, RunFeatures, read_features, rows_to_score, score
from patron.run import run_loop, stage_view
from patron.schema.models.questions import CHURN, PURCHASE, PURCHASE_7_DAYS, VALUE
from patron.schema.tables import FIRST, SCORES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.models.trainings import Training
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop

CUSTOMERS, SIMULATED, DAYS = 1_000_000, 3_000, 450
SCORED = (CHURN, VALUE, PURCHASE, PURCHASE_7_DAYS)
"""Churn first, as value needs it."""


def run_shop(folder: Path) -> tuple[Shop, Run]:
    """A simulated shop, after a run."""
    settings = replace(DEFAULT_SHOP, customers=SIMULATED)
    world = ShopSimulator(settings, seed=1)
    Shop.create(folder).close()
    write_rules(folder, settings, budget_cents=0)
    shop = Shop.open(folder)
    ingest_events(shop, world.history(DAYS), received_at=world.now)
    run_loop(shop, world.now)
    return shop, Run.at(world.now, zone=shop.settings.shop.time_zone)


def repeat_customers(features: RunFeatures, count: int) -> RunFeatures:
    """The rows of so many customers: those of the run, again and again under other ids."""
    here = features.current
    rows = here.take(pa.array(np.arange(count) % here.num_rows))
    ids = pa.array([f"c{number}" for number in range(count)])
    return replace(features, current=rows.set_column(rows.column_names.index("customer_id"), "customer_id", ids))


def score_everybody(view: StageView, features: RunFeatures) -> None:
    """Score all questions, and print what each took."""
    versions = view.query(f"select distinct question, model_version from scores where run_id = '{view.run.run_id}'")
    version_of = dict(zip(*(versions[name].to_pylist() for name in versions.column_names), strict=True))
    found, in_all, why_in_all = [], 0.0, 0.0
    for question in SCORED:
        fitted = load_model(view.models_folder, view.declared_store, version_of[question.name])
        training = Training(question.name, view.run.run_id, view.run.as_of, FIRST)
        champion = Champion("kept", "none", "kept", version_of[question.name], fitted, IntervalEnds(), {}, training)
        started = time.perf_counter()
        rows = rows_to_score(view, question, features)
        nothing = Explanation(pa.nulls(rows.num_rows, SCORES.schema().field("reasons").type), (), np.zeros((0, 1)))
        found.append(score(view, question, champion, rows, nothing))
        seconds = time.perf_counter() - started
        if question is CHURN:
            names = ["customer_id", "as_of", "value"]
            features = replace(features, probabilities=OrderProbabilities(found[0].select(names)))
        explained = time.perf_counter()
        explain(fitted, rows)
        why = time.perf_counter() - explained
        in_all, why_in_all = in_all + seconds, why_in_all + why
        print(f"{question.name:16} {type(fitted).__name__:24} {seconds:6.1f} s, what moved it {why:6.1f} s", flush=True)
    started = time.perf_counter()
    coherent_scores(found)
    seconds = time.perf_counter() - started
    print(f"made to agree: {seconds:.1f} s; in all {in_all + seconds:.1f} s, what moved them {why_in_all:.1f} s")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.1f} GiB")


def main(customers: int = CUSTOMERS) -> None:
    """Run a shop, and score this many customers with its champions."""
    with tempfile.TemporaryDirectory() as place:
        shop, run = run_shop(Path(place) / "shop")
        view = stage_view(shop, predict, run=run)
        features = read_features(view, "features")
        print(f"{features.current.num_rows:,} customers of a run, repeated to {customers:,}")
        with threadpool_limits(limits=1, user_api="blas"):
            score_everybody(view, repeat_customers(features, customers))
        shop.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
