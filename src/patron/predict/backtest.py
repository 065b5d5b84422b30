"""The backtest: forecast from past cutoffs, always next to the baselines; scores and rankings by one protocol.

A question brings its `Origin`s (numbers: `score_origins`; rankings: `recommend.ranking_origins`). What is the same for
all is here: fitting at each origin, intervals over customers, the best baseline, and the rule for the champion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.predict.learner import FitsFromOthers, Fitted, Learner
from patron.schema.bootstrap_intervals import bootstrap_weights, percentile_interval
from patron.schema.errors import NotEnoughData
from patron.schema.metrics import Metric
from patron.schema.numbers import Numbers
from patron.schema.questions import Question
from patron.schema.tables import BACKTESTS

ALL = "all"
MOST_ORIGINS = 3
DAYS_BETWEEN_CUTOFFS = 30
FEWEST_DAYS_OF_HISTORY = 30
MOST_CUTOFFS = 13
FEWER_RESAMPLES = 100
HARDLY = 0.02
"""Share of the best primary metric that a learner may be behind and still be champion by the tie-break; a choice."""
COVERAGE = "interval_coverage"
"""Metric that no learner is chosen by: how often the champion's 80 % interval held the actual."""


class Evaluation(Protocol):
    """One learner's forecasts of one or more origins, next to the actual."""

    def customer_ids(self, metric: Metric) -> npt.NDArray[np.str_]:
        """The customers that a metric looks at, one per row."""
        ...

    def customer_count(self, metric: Metric) -> int:
        """How many they are."""
        ...

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample."""
        ...

    def gain(self, metric: Metric, baseline: Self, weights: Numbers | None = None) -> Any:
        """How much better than a baseline on the same rows; above zero is better."""
        ...

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        ...

    def interval_hits(self, others: Sequence[Self]) -> Numbers | None:
        """Whether each actual was within the 80 % interval learned from other origins; None where there is none."""
        ...


class Origin(Protocol):
    """One past cutoff to forecast from."""

    @property
    def name(self) -> str:
        """Its date."""
        ...

    @property
    def customer_count(self) -> int:
        """Customers to forecast."""
        ...

    def known(self) -> pa.Table:
        """What learners are fitted to: only what was known by then."""
        ...

    def evaluate(self, fitted: Fitted) -> Evaluation:
        """Forecast from here, and compare with the actual."""
        ...


@dataclass(frozen=True)
class Backtest:
    """What every learner forecast at every origin, and which of them is used."""

    question: Question
    learners: tuple[Learner, ...]
    origins: tuple[str, ...]
    """Dates evaluated."""
    evaluations: Mapping[tuple[str, str], Any]
    """By (origin or 'all', learner), an Evaluation."""
    champion: str
    baseline: str
    """The baseline that is best on the primary metric."""
    why: str
    left_out: tuple[str, ...] = ()
    """Learners that could not be fitted at some origin, with the reason."""
    primary_metric: Mapping[str, float] = field(default_factory=dict)
    """The primary metric of each learner over all origins together."""


def cutoffs_for(as_of: datetime, first_known_at: datetime) -> list[datetime]:
    """Cutoffs whose features a run needs, newest first: now, and every 30 days back while there is some history."""
    earliest = first_known_at + timedelta(days=FEWEST_DAYS_OF_HISTORY)
    steps = (as_of - timedelta(days=DAYS_BETWEEN_CUTOFFS * back) for back in range(1, MOST_CUTOFFS))
    return [as_of, *(cutoff for cutoff in steps if cutoff >= earliest)]


def backtest(
    question: Question, learners: tuple[Learner, ...], origins: Sequence[Origin], *, rng: np.random.Generator
) -> Backtest:
    """Evaluate every learner at every origin that has enough customers, and choose the champion.

    With no origin left, the champion is the simplest learner, and `why` says so. `rng` draws the customers by whom
    learners are compared where the question has a `tie_break`.
    """
    evaluations: dict[tuple[str, str], Evaluation] = {}
    left_out: dict[str, str] = {}
    used = [origin for origin in origins if origin.customer_count >= question.fewest_customers]
    for origin in used:
        known = origin.known()
        fitted: dict[str, Fitted] = {}
        for learner in learners:
            try:
                fitted[learner.name] = fit(learner, known, fitted)
            except NotEnoughData as error:
                problem = f"{learner.name} could not be fitted at {origin.name}: {error.what}"
                left_out.setdefault(learner.name, problem)
                continue
            evaluations[origin.name, learner.name] = origin.evaluate(fitted[learner.name])
    names = tuple(origin.name for origin in used)
    return _conclude(question, learners, names, evaluations, tuple(left_out.values()), rng, has_origins=bool(origins))


def fit(learner: Learner, known: pa.Table, others: Mapping[str, Fitted]) -> Fitted:
    """Fit a learner; one that builds on others takes those that are fitted to this table already."""
    return learner.fit_from(known, others) if isinstance(learner, FitsFromOthers) else learner.fit(known)


def fit_champion(result: Backtest, known: pa.Table) -> tuple[Learner, Fitted]:
    """Fit the champion to everything known; where it cannot be fitted, the next simplest. Raises NotEnoughData."""
    simplest_first = sorted(result.learners, key=lambda learner: (learner.is_baseline, learner.complexity))
    champion = [learner for learner in result.learners if learner.name == result.champion]
    problem = NotEnoughData("no learner", where=result.question.name)
    for learner in [*champion, *simplest_first]:
        try:
            return learner, learner.fit(known)
        except NotEnoughData as error:
            problem = error
    raise problem


def to_table(result: Backtest, *, run_id: str, rng: np.random.Generator) -> pa.Table:
    """Rows of `backtests`: each origin and all together, every learner and metric, intervals over customers.

    The gain is paired with the best baseline. The primary metric has an interval everywhere; of numbers, the other
    metrics, slower to draw, for the champion and the baselines over all origins together, and the champion's 80 %
    intervals have their coverage, each origin's learned from the others.
    """
    rows = []
    for metrics in _drawn_together(result.question):
        for origin in (*result.origins, ALL) if result.origins else ():
            baseline: Evaluation = result.evaluations[origin, result.baseline]
            weights = bootstrap_weights(baseline.customer_ids(metrics[0]), rng=rng)
            count = baseline.customer_count(metrics[0])
            for learner in result.learners:
                for metric in metrics:
                    rows += _row(result, origin, learner.name, metric, weights, count)
            hits = covered(result) if origin == ALL else None
            if hits is not None:
                rows.append(_coverage(result.champion, hits, weights, count))
    same = {
        "run_id": run_id,
        "question": result.question.name,
        "champion": result.champion,
        "baseline": result.baseline,
    }
    return pa.Table.from_pylist([same | row for row in rows], schema=BACKTESTS.schema())


def covered(result: Backtest) -> Numbers | None:
    """Whether each actual was within the champion's 80 % interval, learned from the other origins; None with one."""
    if result.question.is_probability or result.question.is_ranking or len(result.origins) < 2:
        return None
    parts = [result.evaluations[origin, result.champion] for origin in result.origins]
    hits = [part.interval_hits([*parts[:at], *parts[at + 1 :]]) for at, part in enumerate(parts)]
    return None if any(hit is None for hit in hits) else np.concatenate(hits)


def _drawn_together(question: Question) -> tuple[tuple[Metric, ...], ...]:
    """Metrics that share their resamples: those of a ranking look at different customers each."""
    return tuple((metric,) for metric in question.all_metrics) if question.is_ranking else (question.all_metrics,)


def _row(
    result: Backtest, origin: str, learner: str, metric: Metric, weights: Numbers, count: int
) -> list[dict[str, str | float | None]]:
    """The row of one learner and metric at an origin; none where it could not be fitted."""
    evaluation: Evaluation | None = result.evaluations.get((origin, learner))
    if evaluation is None:
        return []
    baseline: Evaluation = result.evaluations[origin, result.baseline]
    value, gain = float(evaluation.value(metric)), float(evaluation.gain(metric, baseline))
    row: dict[str, str | float | None] = {
        "origin": origin,
        "learner": learner,
        "metric": metric.name,
        "customer_count": count,
        "value": _known(value),
        "baseline_value": _known(baseline.value(metric)),
        "gain": _known(gain),
    } | dict.fromkeys(("low", "high", "gain_low", "gain_high"))
    drawn = _resamples(result, origin, learner, metric, weights)
    if drawn is not None:
        around = percentile_interval(value, evaluation.value(metric, drawn))
        paired = percentile_interval(gain, evaluation.gain(metric, baseline, drawn))
        row |= {"low": _known(around.low), "high": _known(around.high)}
        row |= {"gain_low": _known(paired.low), "gain_high": _known(paired.high)}
    return [row]


def _resamples(result: Backtest, origin: str, learner: str, metric: Metric, weights: Numbers) -> Numbers | None:
    """Bootstrap weights of a metric; None for one without an interval."""
    question = result.question
    if question.is_ranking or metric == question.primary_metric:
        return weights
    has_interval = origin == ALL and learner in {result.champion, *question.baselines}
    return weights[:FEWER_RESAMPLES] if has_interval else None


def _coverage(champion: str, hits: Numbers, weights: Numbers, count: int) -> dict[str, str | float | None]:
    draws = weights @ hits / np.maximum(weights.sum(axis=1), 1.0)
    share = percentile_interval(float(hits.mean()), draws)
    names = {"origin": ALL, "learner": champion, "metric": COVERAGE, "customer_count": count}
    nothing = dict.fromkeys(("baseline_value", "gain", "gain_low", "gain_high"))
    return names | nothing | {"value": share.value, "low": share.low, "high": share.high}


def _conclude(  # noqa: PLR0913 - what the loop above has gathered
    question: Question,
    learners: tuple[Learner, ...],
    origins: tuple[str, ...],
    evaluations: Mapping[tuple[str, str], Evaluation],
    left_out: tuple[str, ...],
    rng: np.random.Generator,
    *,
    has_origins: bool,
) -> Backtest:
    complete = [
        learner for learner in learners if origins and all((name, learner.name) in evaluations for name in origins)
    ]
    baselines = [learner for learner in complete if learner.is_baseline]
    if not baselines:
        simplest = min(learners, key=lambda learner: (learner.is_baseline, learner.complexity))
        lacking = f"fewer than {question.fewest_customers} customers at each" if has_origins else "too little history"
        why = f"No past cutoff could be evaluated: {lacking}. The simplest learner is used, unproven."
        baseline = next(learner.name for learner in learners if learner.is_baseline)
        return Backtest(question, learners, (), {}, simplest.name, baseline, why, left_out)
    kept = {}
    for learner in complete:
        parts = [evaluations[name, learner.name] for name in origins]
        kept |= {(name, learner.name): part for name, part in zip(origins, parts, strict=True)}
        kept[ALL, learner.name] = parts[0].joined(parts[1:])
    primary = {learner.name: float(kept[ALL, learner.name].value(question.primary_metric)) for learner in complete}
    contest = Contest(question, complete, {learner.name: kept[ALL, learner.name] for learner in complete}, primary)
    champion = contest.champion(rng)
    why = contest.reason(champion, origins)
    return Backtest(question, learners, origins, kept, champion.name, contest.baseline.name, why, left_out, primary)


@dataclass(frozen=True)
class Contest:
    """The one rule for the champion, over learners that were evaluated at every origin."""

    question: Question
    learners: Sequence[Learner]
    evaluations: Mapping[str, Evaluation]
    """Of all origins together, by learner."""
    primary: Mapping[str, float]
    """The primary metric, by learner."""

    @property
    def best(self) -> Learner:
        """The best on the primary metric."""
        return _best(self.question.primary_metric, self.learners, self.primary)

    @property
    def baseline(self) -> Learner:
        """The best baseline."""
        baselines = [learner for learner in self.learners if learner.is_baseline]
        return _best(self.question.primary_metric, baselines, self.primary)

    def champion(self, rng: np.random.Generator) -> Learner:
        """The best on the primary metric, or by the tie-break one that is hardly behind and beats the baselines.

        The tie-break decides where its best leads the best on the primary metric by a standard error.
        """
        best, metric = self.best, self.question.tie_break
        near = self._hardly_behind(best)
        if metric is None or best.is_baseline or len(near) == 1:
            return best
        values = {learner.name: float(self.evaluations[learner.name].value(metric)) for learner in near}
        other = _best(metric, near, values)
        own, rival = self.evaluations[best.name], self.evaluations[other.name]
        weights = bootstrap_weights(own.customer_ids(metric), rng=rng)
        if other is best:
            return best
        error = float(np.std(metric.gain(rival.value(metric, weights), own.value(metric, weights)), ddof=1))
        return other if metric.gain(values[other.name], values[best.name]) > error else best

    def reason(self, champion: Learner, origins: tuple[str, ...]) -> str:
        """Why this learner is champion, for the model card."""
        metric, best, baseline = self.question.primary_metric.name, self.best, self.baseline
        where = f"over {len(origins)} past cutoffs ({', '.join(origins)})"
        number = f"{metric} {self.primary[champion.name]:.6g}"
        if champion.is_baseline:
            return f"{champion.name} has the best {number} {where}: no learner beats the baselines."
        runner_up = f"the best baseline, {baseline.name}, has {self.primary[baseline.name]:.6g}"
        if champion is best or self.question.tie_break is None:
            return f"{champion.name} has the best {number} {where}; {runner_up}."
        second = self.question.tie_break.name
        like = f"{best.name} has {self.primary[best.name]:.6g}, which is hardly better, and a worse {second}"
        return f"{champion.name} has {number} {where}; {like}; {runner_up}."

    def _hardly_behind(self, best: Learner) -> list[Learner]:
        """The best, and others within HARDLY of it that are no worse than the best baseline."""
        metric, margin = self.question.primary_metric, HARDLY * abs(self.primary[best.name])
        return [
            learner
            for learner in self.learners
            if not learner.is_baseline
            and metric.gain(self.primary[learner.name], self.primary[self.baseline.name]) >= 0
            and metric.gain(self.primary[best.name], self.primary[learner.name]) <= margin
        ]


def _best(metric: Metric, learners: Sequence[Learner], values: Mapping[str, float]) -> Learner:
    """The best on a metric; of equals one that is not a baseline, then the simpler."""
    sign = -1 if metric.higher_is_better else 1
    return min(learners, key=lambda one: (sign * values[one.name], one.is_baseline, one.complexity))


def _known(value: float) -> float | None:
    """NaN is NULL in the lake."""
    return float(value) if np.isfinite(value) else None
