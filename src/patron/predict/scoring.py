"""One question about a number: train and keep its champion, or take an earlier run's, and score every customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, LABEL, Fitted, Learner, rows_where
from patron.predict.backtest import ALL, Backtest
from patron.predict.churn.churn_drivers import churn_drivers, partial_dependence
from patron.predict.churn.churn_reasons import reason_rows
from patron.predict.explanation import Explanation, explain
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.predict.learners import LEARNERS
from patron.predict.metrics_by_group import metrics_by_group
from patron.predict.origins import Origin, cutoff_origins, unlabelled
from patron.predict.pinned_models import load_model
from patron.predict.prediction_intervals import IntervalEnds, Outcomes
from patron.predict.recalibration import calibration_slope, recalibrate
from patron.predict.retraining import KeptChampion, plan_training
from patron.predict.sampling import FACTS, MAX_KEY, OF_CUSTOMERS, OF_PROSPECTS, SAMPLE_KEY, sample_keys
from patron.predict.training import keep, train_model
from patron.predict.value.season_prior import with_season_prior
from patron.predict.value.shop_total import SumsToTotal, shop_forecast
from patron.schema.models.label_windows import label_windows
from patron.schema.models.questions import CHURN, PROSPECTS, VALUE, Question, label_query
from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.numbers import float_column
from patron.schema.tables import (
    BACKTESTS,
    METRICS_BY_GROUP,
    PARTIAL_DEPENDENCE,
    PAST_FORECASTS,
    SCORES,
)
from patron.storage.engine import timestamp
from patron.storage.models import model_registry
from patron.storage.models.trainings import Training
from patron.storage.runs.stage_view import StageView

MAX_ROWS = 100_000
"""Customers times cutoffs that are learned from and evaluated; of more, customers are sampled.

All customers are scored. It bounds time and memory of a run: the backtest fits every learner several times."""

FEATURE_TABLES = ("features", "order_lines", "orders")
"""Tables that the rows of a question about customers follow from; a manifest names their versions."""
KEYED_ROWS = f"""select * from (
    select f.*, k.{SAMPLE_KEY} from (select * from {{}} where run_id = '{{}}') f
    join sample_keys k on k.customer_id = f.customer_id) f
where {{}} order by as_of, {SAMPLE_KEY}"""
"""Rows of a table of features, of a run, that meet a condition, with the numbers of their customers."""
PROSPECT_TABLES = ("prospect_features", "order_lines", "identities", "interactions")


@dataclass(frozen=True)
class AnsweredQuestion:
    """How one question was answered in a run."""

    question: str
    champion: str
    model_version: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    baseline: str
    baseline_value: float | None
    scored_count: int
    why: str
    training: Training
    """The run that trained and measured the champion."""
    is_pinned: bool = False
    """Whether people pinned `model_version`, which scores instead of the champion."""


@dataclass(frozen=True)
class Answer:
    """Rows of one question for the tables of these names, and a summary."""

    scores: pa.Table
    past_forecasts: pa.Table
    at_origins: pa.Table
    """As `past_forecasts`, also of origins where no baseline could be fitted next to the champion."""
    metrics_by_group: pa.Table
    reasons: pa.Table
    drivers: pa.Table
    partial_dependence: pa.Table
    backtests: pa.Table
    shop_forecast: pa.Table
    summary: AnsweredQuestion


@dataclass(frozen=True)
class Champion:
    """The model that scores a question, and what this run measured of it: nothing where an earlier run trained it."""

    learner: str
    baseline: str
    why: str
    model_version: str
    fitted: Fitted
    intervals: IntervalEnds
    primary: Mapping[str, float | None]
    """The primary metric over all past cutoffs with its ends, and that of the baseline; empty without a backtest."""
    training: Training
    is_pinned: bool = False
    backtests: pa.Table = field(default_factory=BACKTESTS.empty)
    past_forecasts: pa.Table = field(default_factory=PAST_FORECASTS.empty)
    at_origins: pa.Table = field(default_factory=PAST_FORECASTS.empty)
    metrics_by_group: pa.Table = field(default_factory=METRICS_BY_GROUP.empty)


@dataclass(frozen=True)
class OrderProbabilities:
    """How likely customers order within 90 days by the champion of churn: now, and as it was known at past cutoffs."""

    churn: pa.Table
    """Columns customer_id, as_of, value: the probability of no order."""

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """What an answer to churn says."""
        names = ["customer_id", "as_of", "value"]
        return cls(pa.concat_tables([answer.at_origins.select(names), answer.scores.select(names)]))

    def joined_to(self, rows: pa.Table) -> pa.Table:
        """Rows with the column ORDER_PROBABILITY, NULL at other cutoffs."""
        found = np.full(rows.num_rows, np.nan)
        for cutoff in pc.unique(self.churn["as_of"]):
            known = self.churn.filter(pc.equal(self.churn["as_of"], cutoff))
            here = np.flatnonzero(pc.equal(rows["as_of"], cutoff.cast(rows["as_of"].type)))
            place = pc.index_in(rows["customer_id"].take(here), known["customer_id"].combine_chunks())
            found[here] = 1 - float_column(known.select(["value"]).take(place.combine_chunks()), "value", np.nan)
        return rows.append_column(ORDER_PROBABILITY, pa.array(found, from_pandas=True))


@dataclass(frozen=True)
class RunFeatures:
    """The run's features: those to learn from (past cutoffs and now, a sample), and those to score (now, all)."""

    view: StageView
    table: str
    keys: pa.Table
    """Numbers of customers by which a sample is drawn."""
    current: pa.Table
    probabilities: OrderProbabilities | None = None
    """None before churn is answered."""

    @cached_property
    def known(self) -> pa.Table:
        """Those to learn from, read when a question is trained."""
        view, now = self.view, timestamp(self.view.run.as_of)
        count = f"select count(*) as n from {self.table} where run_id = '{view.run.run_id}'"
        row_count = view.query(count)["n"][0].as_py()
        largest = int(min(1.0, MAX_ROWS / max(row_count, 1)) * MAX_KEY)
        sampled = f"as_of <= {now} and {SAMPLE_KEY} <= {largest}"
        return view.query(KEYED_ROWS.format(self.table, view.run.run_id, sampled), sample_keys=self.keys)


def read_features(view: StageView, table: str) -> RunFeatures:
    """Read the run's features, or those of prospects, once, in an order that is the same whatever the ids are."""
    now = timestamp(view.run.as_of)
    facts = OF_PROSPECTS if table == "prospect_features" else OF_CUSTOMERS
    of_run = f"select * from {table} where run_id = '{view.run.run_id}'"
    current = view.query(f"{of_run} and as_of = {now} order by customer_id")
    keys = sample_keys(view.query(FACTS.format(facts=facts.format(now=now))), current)
    current = view.query(KEYED_ROWS.format(table, view.run.run_id, f"as_of = {now}"), sample_keys=keys)
    return RunFeatures(view, table, keys, current)


def population_of(view: StageView, question: Question, rows: pa.Table) -> pa.Table:
    """The rows that the question is about, in their order."""
    places = pa.array(np.arange(rows.num_rows))
    # why places: the engine then reads the few columns of the condition, and not a hundred features
    sql = f"select place from candidates where {question.population} order by place"
    chosen = view.query(sql, candidates=rows.append_column("place", places))["place"]
    return rows if len(chosen) == rows.num_rows else rows.take(chosen)


def with_labels(view: StageView, question: Question, rows: pa.Table) -> pa.Table:
    """The question's population of rows, in their order, with the labels that are known by the run.

    A label is NULL where it is not known yet.
    """
    population = population_of(view, question, rows)
    last = view.run.as_of - timedelta(days=question.horizon_days)
    kind = population.schema.field("as_of").type
    done = rows_where(population, pc.less_equal(population["as_of"], pa.scalar(last, kind)))
    windows = label_windows(done.select(["customer_id", "as_of"]), question.horizon_days)
    places = windows.append_column("place", pa.array(np.arange(done.num_rows)))
    # why places: `done` are the first rows of the population, and the wide features need not be joined
    joined = f"""select p.place, l.label from places p join ({label_query(question)}) l
        on l.customer_id = p.customer_id and l.as_of = p.as_of order by p.place"""
    labels = view.query(joined, label_windows=windows, places=places)
    unknown = pa.nulls(population.num_rows - done.num_rows, pa.float64())
    return population.append_column(LABEL, pa.chunked_array([*labels[LABEL].cast(pa.float64()).chunks, unknown]))


def answer(
    view: StageView, question: Question, features: RunFeatures, learners: Sequence[Learner] | None = None
) -> Answer:
    """Train a question, or take an earlier run's champion, and score. Raises NotEnoughData when none can be fitted.

    `learners` are those of a benchmark or a test.
    """
    current = rows_to_score(view, question, features)
    training, kept = plan_training(view, question, str(features.current["feature_version"][0].as_py()))
    champion = reuse(view, question, training, kept) if kept else train(view, question, features, training, learners)
    has_reasons = question is CHURN
    explanation = explain(champion.fitted, current, REASON_CODES if has_reasons else ())
    scores = score(view, question, champion, current, explanation)
    reasons = reason_rows(view, question, current, scores, explanation)
    dependence = (
        partial_dependence(view, question, champion.fitted, current) if has_reasons else PARTIAL_DEPENDENCE.empty()
    )
    return Answer(
        scores=scores,
        past_forecasts=champion.past_forecasts,
        at_origins=champion.at_origins,
        metrics_by_group=champion.metrics_by_group,
        reasons=reasons,
        drivers=churn_drivers(view, scores, reasons),
        partial_dependence=dependence,
        backtests=champion.backtests,
        shop_forecast=shop_forecast(view, question, champion.fitted, scores),
        summary=_summary(question, champion, scores.num_rows),
    )


def rows_to_score(view: StageView, question: Question, features: RunFeatures) -> pa.Table:
    """Today's rows of a question."""
    rows = unlabelled(population_of(view, question, features.current))
    return _with_season_and_order_probability(view, question, features, rows)


def rows_to_learn(view: StageView, question: Question, features: RunFeatures) -> pa.Table:
    """Rows of past cutoffs with the labels that are known by the run, and today's without."""
    return _with_season_and_order_probability(view, question, features, with_labels(view, question, features.known))


def _with_season_and_order_probability(
    view: StageView, question: Question, features: RunFeatures, rows: pa.Table
) -> pa.Table:
    """Add the season assumed at each cutoff, and for value the probability of an order where churn forecasts one."""
    rows = with_season_prior(view, question, rows)
    return features.probabilities.joined_to(rows) if question is VALUE and features.probabilities else rows


def train(
    view: StageView,
    question: Question,
    features: RunFeatures,
    training: Training,
    learners: Sequence[Learner] | None = None,
) -> Champion:
    """Backtest, fit and keep one question's champion. Raises NotEnoughData when no learner can be fitted."""
    rows = rows_to_learn(view, question, features)
    origins = cutoff_origins(question, rows, view.run.as_of)
    trained = train_model(view, question, tuple(learners or LEARNERS[question.name]), origins, rows)
    slope = calibration_slope(trained.learner.name, trained.result)
    trained = replace(trained, fitted=recalibrate(trained.fitted, slope, rows), slope=slope)
    result, groups = trained.result, metrics_by_group(view, trained.result, origins)
    pin = view.pinned_models.get(question.name)
    # why: a run that is run again must not replace a pinned model
    if pin is None or pin.model_version != training.model_version:
        tables = PROSPECT_TABLES if question is PROSPECTS else FEATURE_TABLES
        keep(view, trained, tables, groups=groups, intervals=_interval_ends(result, trained.fitted))
    fitted = trained.fitted
    fitted = load_model(view.models_folder, view.declared_store, pin.model_version) if pin else fitted
    return Champion(
        learner=trained.learner.name,
        baseline=result.baseline,
        why=result.why,
        model_version=pin.model_version if pin else training.model_version,
        fitted=fitted,
        intervals=_interval_ends(result, fitted),
        primary=_primary(question, trained.learner.name, trained.backtests.to_pylist()),
        training=training,
        is_pinned=pin is not None,
        backtests=trained.backtests,
        past_forecasts=past_forecasts(view, result, [one for one in origins if one.name in result.origins]),
        at_origins=past_forecasts(view, result, origins),
        metrics_by_group=groups,
    )


def reuse(view: StageView, question: Question, training: Training, kept: KeptChampion) -> Champion:
    """The champion of an earlier run, with what that run measured; a pinned model scores instead of it."""
    pin = view.pinned_models.get(question.name)
    card = model_registry.card(view.models_folder, view.declared_store, training.model_version)
    rows = view.query(f"""
select * from backtests where run_id = '{training.trained_run_id}' and question = '{question.name}'""")
    return Champion(
        learner=kept.learner,
        baseline=card.get("best_baseline", ""),
        why=card.get("why", ""),
        model_version=pin.model_version if pin else training.model_version,
        fitted=load_model(view.models_folder, view.declared_store, pin.model_version) if pin else kept.fitted,
        intervals=kept.intervals,
        primary=_primary(question, kept.learner, rows.to_pylist()),
        training=training,
        is_pinned=pin is not None,
    )


def past_forecasts(view: StageView, result: Backtest, origins: Sequence[Origin]) -> pa.Table:
    """Rows of `past_forecasts`: what the champion forecast at each of these origins; of churn only."""
    if result.question is not CHURN:
        return PAST_FORECASTS.empty()
    parts = [PAST_FORECASTS.empty()]
    for origin in origins:
        if evaluation := result.evaluations.get((origin.name, result.champion)):
            forecast = evaluation.forecast
            same = {"run_id": view.run.run_id, "question": result.question.name}
            columns = {name: pa.repeat(text, len(forecast)) for name, text in same.items()}
            keys = {name: origin.test_rows[name] for name in ("customer_id", "as_of")}
            parts.append(pa.table(columns | keys | {"value": pa.array(forecast)}).select(PAST_FORECASTS.schema().names))
    return pa.concat_tables([part.cast(PAST_FORECASTS.schema()) for part in parts])


def score(
    view: StageView, question: Question, champion: Champion, rows: pa.Table, explanation: Explanation
) -> pa.Table:
    """Rows of `scores` for these customers, with an interval for amounts and reasons where the model gives them."""
    if not rows.num_rows:
        return SCORES.empty()
    forecast = float_column(champion.fitted.predict(rows), FORECAST)
    ends = champion.intervals.interval(forecast)
    low, high = (pa.nulls(len(forecast), pa.float64()) if ends is None else pa.array(ends[at]) for at in (0, 1))
    return pa.table(
        {
            "run_id": pa.array([view.run.run_id] * rows.num_rows, pa.string()),
            "customer_id": rows["customer_id"],
            "as_of": rows["as_of"],
            "question": pa.array([question.name] * rows.num_rows, pa.string()),
            "model_version": pa.array([champion.model_version] * rows.num_rows, pa.string()),
            "value": pa.array(forecast),
            "low": low,
            "high": high,
            "reasons": explanation.moved_most,
        },
        schema=SCORES.schema(),
    )


def _interval_ends(result: Backtest, fitted: Fitted) -> IntervalEnds:
    """Ends of 80 % intervals, as wide as past cutoffs had them and as the coming season is uncertain."""
    evaluation = result.evaluations.get((ALL, result.champion))
    if result.question.is_probability or evaluation is None:
        return IntervalEnds()
    spread = fitted.total.season_spread if isinstance(fitted, SumsToTotal) else 0.0
    return Outcomes.of(evaluation.actual, evaluation.forecast, spread).interval_ends()


def _primary(question: Question, learner: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The learner on the primary metric over all past cutoffs, of rows of `backtests`; empty without any."""
    wanted = (ALL, learner, question.primary_metric.name)
    row = next((row for row in rows if (row["origin"], row["learner"], row["metric"]) == wanted), None)
    return {name: row[name] for name in ("value", "low", "high", "baseline_value")} if row else {}


def _summary(question: Question, champion: Champion, scored_count: int) -> AnsweredQuestion:
    return AnsweredQuestion(
        question=question.name,
        champion=champion.learner,
        model_version=champion.model_version,
        metric=question.primary_metric.name,
        baseline=champion.baseline,
        scored_count=scored_count,
        why=champion.why,
        training=champion.training,
        is_pinned=champion.is_pinned,
        **{name: champion.primary.get(name) for name in ("value", "low", "high", "baseline_value")},
    )
