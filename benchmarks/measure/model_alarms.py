"""How often alarms are false in undisturbed simulated shops, and whether a planted drift raises its alarm in one run.

Usage: python benchmarks/measure/model_alarms.py [FIRST_SEED] [SEEDS] [CASE ...]. Undisturbed (`none`): a shop of about
400 customers after 420 days for each seed, every fourth of them of gifts, with twice the usual season. With a planted
drift, for every third seed: views are no longer sent for the last 30 days (`views`), amounts are doubled for the last
30 days (`amounts`, and of 800 customers `amounts_larger`), or customers leave thirty times as fast, within two weeks,
for the last 90 days (`leaving`). Facts, features, forecast checks and alarms are those of a run; its scores are by a
quick learner of each of three questions at the last eight cutoffs, fitted to what was known by then, as backtests and
averages of a whole run take ten times as long. Limits were set on seeds from 100 on.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron import measure, predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.estimators.learner import FORECAST, Learner
from patron.measure.forecast_checks import check_forecasts
from patron.measure.model_alarms import write_model_alarms
from patron.predict import scoring
from patron.predict.origins import at, known_at_origin
from patron.predict.probability_learners import BoostedProbability, RfmLogistic
from patron.predict.value.boosted_value import Boosted
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.questions import CHURN, PURCHASE, VALUE, Question
from patron.schema.tables import SCORES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, PlantedDrift, SimulatorSettings
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

DAYS, CUSTOMERS, SCORED_CUTOFFS = 420, 280, 8
LEARNER: Mapping[Question, Learner] = {CHURN: BoostedProbability(), PURCHASE: RfmLogistic(), VALUE: Boosted()}
"""One for each question that needs no other's forecast."""
PLAIN = replace(DEFAULT_SHOP, customers=CUSTOMERS)
OF_GIFTS = replace(PLAIN, season_strength=2.0)
DRIFTS = {
    "views": PlantedDrift(DAYS - 30, are_views_lost=True),
    "amounts": PlantedDrift(DAYS - 30, amount_factor=2),
    "leaving": PlantedDrift(DAYS - 90, hazard_factor=30.0),
}
DRIFTS["amounts_larger"] = DRIFTS["amounts"]
NONE = "none"
EXPECTED: Mapping[str, set[tuple[str, str]]] = {
    NONE: set(),
    "views": {("data", "views")},
    "amounts": {("data", "amounts")},
    "amounts_larger": {("data", "amounts")},
    "leaving": {("calibration", question.name) for question in LEARNER},
}
"""Any of these alarms is right: kind, and source of the data or question."""
CASES = (NONE, *DRIFTS)


def main(first: int = 1, seeds: int = 20, cases: Sequence[str] = CASES) -> None:
    for case in cases:
        hits, others = [], []
        for seed in range(first, first + seeds, 1 if case == NONE else 3):
            alarms = alarms_of(shop_of(case, seed), seed)
            hits.append(any(key_of(row) in EXPECTED[case] for row in alarms))
            others.append(any(key_of(row) not in EXPECTED[case] for row in alarms))
            print(f"{case} {seed}: {texts(alarms) or 'no alarm'}", flush=True)
        if case != NONE:
            print(f"{case}: its alarm in {share(hits)} runs")
        print(f"{case}: another alarm in {share(others)} runs", flush=True)


def shop_of(case: str, seed: int) -> SimulatorSettings:
    """The shop of a case; every fourth undisturbed one is of gifts."""
    if case == NONE:
        return OF_GIFTS if seed % 4 == 0 else PLAIN
    return replace(PLAIN, drift=DRIFTS[case], customers=CUSTOMERS * (2 if case == "amounts_larger" else 1))


def alarms_of(settings: SimulatorSettings, seed: int) -> list[dict[str, Any]]:
    """Rows of `model_alarms` of one run of a shop."""
    world = ShopSimulator(settings, seed)
    with tempfile.TemporaryDirectory() as folder:
        Shop.create(Path(folder) / "w").close()
        write_rules(Path(folder) / "w", settings, budget_cents=0)
        shop = Shop.open(Path(folder) / "w")
        ingest_events(shop, world.history(DAYS), received_at=world.now)
        run = Run.at(world.now, zone=shop.settings.shop.time_zone)
        view = stage_view(shop, understand, run=run)
        for build in (build_facts, build_run_cutoffs, build_features):
            build(view)
        write_scores(shop, run)
        view = stage_view(shop, measure, run=run)
        check_forecasts(view)
        alarms = write_model_alarms(stage_view(shop, measure, run=run)).to_pylist()
        shop.close()
    return alarms


def write_scores(shop: Shop, run: Run) -> None:
    """Scores at the last cutoffs, as if there had been a run at each."""
    view = stage_view(shop, predict, run=run)
    features = scoring.read_features(view, "features").known
    parts: dict[Any, list[pa.Table]] = {}
    for question in LEARNER:
        for as_of, scores in scores_of(view, question, features):
            parts.setdefault(as_of, []).append(scores)
    for as_of, scores in parts.items():
        earlier = Run.at(as_of, zone=shop.settings.shop.time_zone)
        stage_view(shop, predict, run=earlier).write("scores", pa.concat_tables(scores))


def scores_of(view: StageView, question: Question, features: pa.Table) -> Iterator[tuple[Any, pa.Table]]:
    """Cutoff and scores of the learner, fitted to what was known by it."""
    rows = scoring.with_labels(view, question, features)
    learner = LEARNER[question]
    for as_of in sorted(pc.unique(rows["as_of"]).to_pylist())[-SCORED_CUTOFFS:]:
        fitted = learner.fit(known_at_origin(rows, as_of, question.horizon_days))
        here = at(rows, as_of)
        same = {"run_id": Run.at(as_of).run_id, "question": question.name, "model_version": learner.name}
        columns = {name: pa.repeat(text, here.num_rows) for name, text in same.items()}
        columns |= {name: here[name] for name in ("customer_id", "as_of")}
        columns["value"] = fitted.predict(here)[FORECAST]
        nothing = {name: pa.nulls(here.num_rows) for name in ("low", "high", "reasons")}
        names = SCORES.schema().names
        yield as_of, pa.table(columns | nothing).select(names).cast(SCORES.schema())


def key_of(row: dict[str, Any]) -> tuple[str, str]:
    """Kind, and source of the data or question."""
    return row["kind"], row["source"] or row["subject"]


def texts(alarms: list[dict[str, Any]]) -> str:
    """Alarms in a few words."""
    return "; ".join(
        f"{row['kind']} {row['subject']} {row['before']:.3g} -> {row['now']:.3g}"
        f" ({row['value']:.2f}, allowed {row['allowed']:.2f})"
        for row in alarms
    )


def share(hits: list[bool]) -> str:
    """A count with the 95 % interval of its share (Wilson 1927)."""
    count, z = len(hits), 1.96
    mean = float(np.mean(hits))
    middle = (mean + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(mean * (1 - mean) / count + z**2 / (4 * count**2)))
    return f"{sum(hits)} of {count} [{max(middle - half, 0):.0%}, {min(middle + half, 1):.0%}]"


if __name__ == "__main__":
    first_seed, seed_count = (int(one) for one in (*sys.argv[1:3], *("1", "20")[len(sys.argv[1:3]) :]))
    main(first_seed, seed_count, sys.argv[3:] or CASES)
