"""Whether a model that is trained again forgets earlier customers, and what an older model costs.

Usage: python benchmarks/predict/forgetting.py [SEEDS] [ONLINE_RETAIL.parquet]. Simulated shops of about 700 customers
after 540 days, from seed 1 on: undisturbed, with customers who leave five times as fast from day 360 on (`leaving`),
and with amounts doubled from that day on (`amounts`); and the real one, if it is named. The origin is the newest cutoff
whose outcome is known; nothing is fitted to an outcome that was not known there.

First table: how trees are trained there. `earlier` is the model of 90 days before, as it was: error before retraining.
`newest` learns from the newest known cutoff only, `replay` from that and all older ones, up to a year (what a run
does), `warm` goes on from the earlier model with 40 rounds on the cutoffs that became known since, and `warm_replay`
with 40 rounds on all. Going on from a model is what LightGBM's `init_model` does: trees are added to its raw scores.
All are calibrated alike. Second table: the question's default learner, fitted 7, 30 and 90 days before the origin.
Gains are over `replay`, or over the learner fitted at the origin: below zero is worse. 95 % intervals over customers,
who are pooled over the seeds; customers are grouped by the half-year of their first order.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import logit
from value_on_real_data import CUTOFFS, SOURCES, understood_at

from patron import predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.boosted_trees import Rows as Places
from patron.estimators.bootstrap import bootstrap_weights, interval, paired_gain
from patron.estimators.calibration import Calibration
from patron.estimators.learner import FORECAST, LABEL, Fitted, Learner, labelled
from patron.predict import scoring
from patron.predict.feature_matrix import ORDER_PROBABILITY, Design
from patron.predict.learners import LEARNERS
from patron.predict.metrics_by_group import groupings
from patron.predict.origins import at, known_at_origin, training_cutoffs
from patron.predict.probability_learners import BoostedProbability, fit_calibration
from patron.predict.value.boosted_value import TWEEDIE, Boosted
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.questions import CHURN, PURCHASE, VALUE, Question
from patron.schema.numbers import Numbers, float_column
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, PlantedDrift
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

DAYS, CUSTOMERS, DRIFT_DAY = 540, 500, 360
SINCE = timedelta(days=90)
"""How much earlier the earlier model was trained."""
WEEK = timedelta(days=7)
AGES = (30, 90)
"""Days before the origin that are cutoffs of its run; a week before, another run has its own cutoffs."""
QUESTIONS = (CHURN, PURCHASE, VALUE)
DRIFTS: Mapping[str, PlantedDrift | None] = {
    "undisturbed": None,
    "leaving": PlantedDrift(DRIFT_DAY, hazard_factor=5.0),
    "amounts": PlantedDrift(DRIFT_DAY, amount_factor=2),
}
RETAIL = "online_retail_2010_2011"
REPLAY, NOW = "replay", "at the origin"
ALL = "all"
MIN_CENTS = 100.0
"""A forecast that trees go on from is at least so much: the link is a logarithm."""


@dataclass(frozen=True)
class Continued:
    """Trees that go on from another model: calibrated log-odds, or the logarithm of cents."""

    before: Fitted
    design: Design
    trees: FittedTrees
    is_probability: bool
    calibration: Calibration
    adding_up: float = 1.0

    def raw(self, rows: pa.Table) -> Numbers:
        """The raw score of the other model and of the trees."""
        return start(self.before, rows, is_probability=self.is_probability) + self.trees.raw(self.design.matrix(rows))

    def forecast(self, rows: pa.Table) -> Numbers:
        """In the question's unit."""
        raw = self.raw(rows)
        return self.calibration.probability(raw) if self.is_probability else np.exp(raw) * self.adding_up


def start(before: Fitted, rows: pa.Table, *, is_probability: bool) -> Numbers:
    """The other model's forecast on the scale that trees add up on."""
    forecast = float_column(before.predict(rows), FORECAST)
    return logit(np.clip(forecast, 1e-6, 1 - 1e-6)) if is_probability else np.log(np.maximum(forecast, MIN_CENTS))


def go_on(question: Question, before: Fitted, rows: pa.Table) -> Continued:
    """Go on from a model with trees on these rows."""
    trees, is_probability = Trees(rounds=40), question.is_probability

    def fit(part: pa.Table, calibration: Calibration) -> Continued:
        design, label = Design.of(part), float_column(part, LABEL)
        if not is_probability:
            label = np.clip(label, 0.0, np.quantile(label[label > 0], 0.99))
        objective = {"objective": "binary", "boost_from_average": False} if is_probability else TWEEDIE
        begun = start(before, part, is_probability=is_probability)
        fitted = trees.fit(design.matrix(part), label, objective, start=begun)
        found = Continued(before, design, fitted, is_probability, calibration)
        if is_probability:
            return found
        return replace(found, adding_up=float(label.sum() / np.maximum(found.forecast(part).sum(), 1.0)))

    known = labelled(rows)

    def log_odds(fitted: Places, others: Places) -> Numbers:
        return fit(known.take(fitted), Calibration()).raw(known.take(others))

    return fit(known, fit_calibration(known, log_odds) if is_probability else Calibration())


@dataclass(frozen=True)
class Forecasts:
    """What several models forecast of the same customers of one shop."""

    groups: np.ndarray
    actual: Numbers
    by_model: Mapping[str, Numbers]


def trained_forecasts(question: Question, rows: pa.Table, origin: datetime) -> Forecasts:
    """Trees that are trained in several ways by an origin."""
    horizon, learner = question.horizon_days, BoostedProbability() if question.is_probability else Boosted()
    here, known = at(rows, origin), known_at_origin(rows, origin, horizon)
    earlier = learner.fit(known_at_origin(rows, origin - SINCE, horizon))
    cutoffs = training_cutoffs(pc.unique(rows["as_of"]).to_pylist(), origin, horizon)
    before = training_cutoffs(cutoffs, origin - SINCE, horizon)
    newest = pa.concat_tables([at(rows, cutoffs[-1]), at(known, origin)])
    fresh = pa.concat_tables([at(rows, cutoff) for cutoff in cutoffs[len(before) :]])
    models = {"earlier": earlier, "newest": learner.fit(newest), REPLAY: learner.fit(known)}
    forecasts = {name: float_column(one.predict(here), FORECAST) for name, one in models.items()}
    forecasts["warm"] = go_on(question, earlier, fresh).forecast(here)
    forecasts["warm_replay"] = go_on(question, earlier, labelled(known)).forecast(here)
    return Forecasts(half_years(here), float_column(here, LABEL), forecasts)


def aged_forecasts(question: Question, of_shop: Mapping[Question, "Rows"], origin: datetime) -> Forecasts:
    """The default learner as it was fitted some days before an origin; of a value, churn is as old as it is."""
    rows = of_shop[question].now
    here, by_model = at(rows, origin), {}
    churn = known_by_age(of_shop[CHURN], origin, CHURN.horizon_days)
    for age, known in known_by_age(of_shop[question], origin, question.horizon_days).items():
        fitted_to, forecast_for = known, here
        if question == VALUE:
            of_churn = default_learner(CHURN).fit(churn[age])
            fitted_to, forecast_for = (with_order_probability(table, of_churn) for table in (known, here))
        by_model[age] = float_column(default_learner(question).fit(fitted_to).predict(forecast_for), FORECAST)
    return Forecasts(half_years(here), float_column(here, LABEL), by_model)


def known_by_age(rows: "Rows", origin: datetime, horizon: int) -> dict[str, pa.Table]:
    """Rows that were known at an origin, and some days before."""
    earlier = {
        f"{days} days before": known_at_origin(rows.now, origin - timedelta(days=days), horizon) for days in AGES
    }
    week_before = known_at_origin(rows.week_before, origin - WEEK, horizon)
    return {NOW: known_at_origin(rows.now, origin, horizon), "7 days before": week_before, **earlier}


def default_learner(question: Question) -> Learner:
    """The learner that a question has without a champion."""
    return next(learner for learner in LEARNERS[question.name] if learner.name == question.default)


def with_order_probability(rows: pa.Table, churn: Fitted) -> pa.Table:
    """Rows with the probability of an order, as a model of churn forecasts it."""
    probability = 1 - float_column(churn.predict(rows), FORECAST)
    return rows.append_column(ORDER_PROBABILITY, pa.array(probability))


def half_years(rows: pa.Table) -> np.ndarray:
    """Half-year of each customer's first order."""
    return dict(groupings(rows))["first_order"]


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one question: of the run of a shop, and of one a week before."""

    as_of: datetime
    now: pa.Table
    week_before: pa.Table


def rows_of(view: StageView) -> dict[Question, pa.Table]:
    """Labelled rows of every question."""
    features = scoring.read_features(view, "features").known
    return {question: scoring.with_labels(view, question, features) for question in QUESTIONS}


def paired(as_of: datetime, now: Mapping[Question, pa.Table], before: Mapping[Question, pa.Table]) -> dict:
    return {question: Rows(as_of, now[question], before[question]) for question in QUESTIONS}


def simulated_rows(case: str, seed: int, folder: Path) -> dict[Question, Rows]:
    """Rows of a simulated shop."""
    settings = replace(DEFAULT_SHOP, customers=CUSTOMERS, drift=DRIFTS[case])
    world = ShopSimulator(settings, seed)
    Shop.create(folder).close()
    write_rules(folder, settings, budget_cents=0)
    shop = Shop.open(folder)
    ingest_events(shop, world.history(DAYS), received_at=world.now)
    rows = []
    for as_of in (world.now, world.now - WEEK):
        run = Run.at(as_of, zone=shop.settings.shop.time_zone)
        view = stage_view(shop, understand, run=run)
        for build in (build_facts, build_run_cutoffs, build_features):
            build(view)
        rows.append(rows_of(stage_view(shop, predict, run=run)))
    shop.close()
    return paired(world.now, *rows)


def shops(seeds: int, retail: Path | None) -> Iterator[tuple[str, list[dict[Question, Rows]]]]:
    """Shops by case."""
    with tempfile.TemporaryDirectory() as folder:
        for case in DRIFTS:
            yield case, [simulated_rows(case, seed, Path(folder) / f"{case}{seed}") for seed in range(1, 1 + seeds)]
        if retail:
            source, as_of = SOURCES[RETAIL].format(file=retail), CUTOFFS[RETAIL]
            runs = (understood_at(source, day, Path(folder) / f"{day:%d}") for day in (as_of, as_of - WEEK))
            yield RETAIL, [paired(as_of, *map(rows_of, runs))]


def main(seeds: int, retail: Path | None) -> None:
    for case, of_case in shops(seeds, retail):
        for question in QUESTIONS:
            trained, aged = [], []
            for of_shop in of_case:
                rows = of_shop[question]
                cutoffs = pc.unique(rows.now["as_of"]).to_pylist()
                origin = training_cutoffs(cutoffs, rows.as_of, question.horizon_days)[-1]
                if not training_cutoffs(cutoffs, origin - SINCE, question.horizon_days):
                    print(f"\n{case}, {question.name}: too short a history for an earlier model")
                    continue
                trained.append(trained_forecasts(question, rows.now, origin))
                aged.append(aged_forecasts(question, of_shop, origin))
            if trained:
                show(f"{case}, {question.name}, trees", question, trained, REPLAY)
                show(f"{case}, {question.name}, {question.default}", question, aged, NOW)


def show(title: str, question: Question, of_case: list[Forecasts], reference: str) -> None:
    """Print the error of each model and its gain over the reference, for each group and for all."""
    metric, rng = question.primary_metric, np.random.default_rng(1)
    print(f"\n{title}: {metric.name}, gains over the model `{reference}`", flush=True)
    groups = np.concatenate([one.groups for one in of_case])
    actual = np.concatenate([one.actual for one in of_case])
    forecast = {name: np.concatenate([one.by_model[name] for one in of_case]) for name in of_case[0].by_model}
    for group in (*sorted(set(groups.tolist())), ALL):
        where = np.flatnonzero((groups == group) | (group == ALL))
        weights = bootstrap_weights(where, rng=rng)
        base = interval(metric, actual[where], forecast[reference][where], weights=weights)
        texts = [f"{reference} {base.value:.4g} [{base.low:.4g}, {base.high:.4g}]"]
        for name, values in forecast.items():
            if name != reference:
                gain = paired_gain(metric, actual[where], values[where], forecast[reference][where], weights=weights)
                texts.append(f"{name} {gain.value:+.4g} [{gain.low:+.4g}, {gain.high:+.4g}]")
        print(f"  {group:15} {len(where):5}: " + "; ".join(texts), flush=True)


if __name__ == "__main__":
    main(int((*sys.argv[1:], "4")[0]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
