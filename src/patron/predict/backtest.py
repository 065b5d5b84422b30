"""The backtest: forecast from past cutoffs, always next to the baselines; one protocol and one rule for all questions.

A question brings its `Origin`s. What is the same for all is here: fitting at each origin, intervals over customers, the
best baseline, and the rule for the champion.

The rule (docs/decisions/0013): a question's default learner is champion, and is replaced only by one, no baseline, that
is better by more than a standard error at most of the cutoffs where both could be fitted. Three cutoffs of one shop are
too few to choose the best of many learners by its mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.bootstrap import bootstrap_weights, percentile_interval
from patron.estimators.learner import FitsFromOthers, Fitted, Learner
from patron.predict.origins import Origin
from patron.schema.errors import MissingExtra, NotEnoughData
from patron.schema.models.metrics import Metric
from patron.schema.models.questions import DAYS_BEFORE_FORECAST, Target
from patron.schema.numbers import Numbers
from patron.schema.tables import BACKTESTS

ALL = "all"
DAYS_BETWEEN_CUTOFFS = 30
MAX_CUTOFFS = 13
FEWER_RESAMPLES = 100
MIN_SHARE_OF_CUTOFFS = 0.5
"""On more than this share a learner has to be better than the default by more than a standard error."""
COVERAGE = "interval_coverage"
"""Metric that no learner is chosen by: how often the champion's 80 % interval held the actual, 0 to 1."""


class Evaluation(Protocol):
    """One learner's forecasts of one or more origins, next to the actual."""

    def customer_ids(self, metric: Metric) -> npt.NDArray[Any]:
        """Who the customers are that a metric looks at, one per row."""
        ...

    def customer_count(self, metric: Metric) -> int:
        """How many they are."""
        ...

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample."""
        ...

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        ...

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:
        """Whether each actual was within the 80 % interval learned from other origins; None where there is none."""
        ...


@dataclass(frozen=True)
class Backtest:
    """What every learner forecast at every origin, and which of them is used."""

    question: Target
    learners: tuple[Learner, ...]
    origins: tuple[str, ...]
    """Dates evaluated."""
    evaluations: Mapping[tuple[str, str], Any]
    """By (origin or 'all', learner), an Evaluation; of the champion also at origins that are not evaluated."""
    champion: str
    baseline: str
    """The baseline that is best on the primary metric."""
    why: str
    unproven_because: str = ""
    """Why no past cutoff could be evaluated; empty where one was."""
    left_out: tuple[str, ...] = ()
    """Learners that could not be fitted at an origin, with the reason."""
    primary_metric: Mapping[str, float] = field(default_factory=dict)
    """The primary metric of each learner over all origins together."""


def cutoffs_for(as_of: datetime, first_known_at: datetime) -> list[datetime]:
    """Cutoffs whose features a run needs, newest first: now, and every 30 days back while there is some history."""
    earliest = first_known_at + timedelta(days=DAYS_BEFORE_FORECAST)
    steps = (as_of - timedelta(days=DAYS_BETWEEN_CUTOFFS * back) for back in range(1, MAX_CUTOFFS))
    return [as_of, *(cutoff for cutoff in steps if cutoff >= earliest)]


def backtest(
    question: Target, learners: tuple[Learner, ...], origins: Sequence[Origin], *, rng: np.random.Generator
) -> Backtest:
    """Evaluate every learner at every origin that has enough customers, and choose the champion.

    With no origin left, the champion is the default learner,
    and `why` says so. `rng` draws the customers by whom a standard error is known.
    """
    evaluations: dict[tuple[str, str], Evaluation] = {}
    left_out: dict[str, tuple[str, str]] = {}
    used = [origin for origin in origins if origin.customer_count >= question.fewest_customers]
    for origin in used:
        known = origin.known()
        fitted: dict[str, Fitted] = {}
        for learner in learners:
            try:
                fitted[learner.name] = fit(learner, known, fitted)
            except (NotEnoughData, MissingExtra) as error:
                left_out.setdefault(learner.name, (origin.name, error.what))
                continue
            evaluations[origin.name, learner.name] = origin.evaluate(fitted[learner.name])
    names = tuple(origin.name for origin in used)
    lacking = f"each has fewer than {question.fewest_customers} customers" if origins else "there is too little history"
    return _conclude(question, learners, names, evaluations, _failure_sentences(left_out), rng, lacking=lacking)


def _failure_sentences(problems: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """Say which learners could not be fitted: one sentence for each cutoff and reason, with all their names."""
    names = dict[tuple[str, str], list[str]]()
    for learner, problem in problems.items():
        names.setdefault(problem, []).append(learner)
    return tuple(f"{', '.join(learners)} could not be fitted at {at}: {what}" for (at, what), learners in names.items())


def fit(learner: Learner, known: Any, others: Mapping[str, Fitted]) -> Fitted:
    """Fit a learner; one that builds on others takes those that are fitted to this table already."""
    return learner.fit_from(known, others) if isinstance(learner, FitsFromOthers) else learner.fit(known)


def fit_champion(result: Backtest, known: Any) -> tuple[Learner, Fitted]:
    """Fit the champion to everything known; where it cannot be fitted, the next simplest. Raises NotEnoughData."""
    simplest_first = sorted(result.learners, key=lambda learner: (learner.is_baseline, learner.complexity))
    champion = [learner for learner in result.learners if learner.name == result.champion]
    problem: MissingExtra | NotEnoughData = NotEnoughData("no learner", where=result.question.name)
    for learner in [*champion, *simplest_first]:
        try:
            return learner, learner.fit(known)
        except (NotEnoughData, MissingExtra) as error:
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
            rows += [row | {"customer_count": count} for row in _metric_rows(result, origin, metrics, weights)]
            hits = interval_coverage(result, rng) if origin == ALL else None
            if hits is not None:
                rows.append(_coverage(result.champion, hits, weights, count))
    same = {
        "run_id": run_id,
        "question": result.question.name,
        "champion": result.champion,
        "baseline": result.baseline,
    }
    return pa.Table.from_pylist([same | row for row in rows], schema=BACKTESTS.schema())


def interval_coverage(result: Backtest, rng: np.random.Generator) -> Numbers | None:
    """Whether each actual was within the champion's 80 % interval, learned from the other origins; None with one.

    By the randomised probability transform, which `rng` draws.
    """
    if result.question.is_probability or result.question.is_ranking or len(result.origins) < 2:
        return None
    parts = [result.evaluations[origin, result.champion] for origin in result.origins]
    hits = [part.interval_coverage([*parts[:at], *parts[at + 1 :]], rng) for at, part in enumerate(parts)]
    return None if any(hit is None for hit in hits) else np.concatenate(hits)


def _drawn_together(question: Target) -> tuple[tuple[Metric, ...], ...]:
    """Metrics that share their resamples: those of a ranking look at different customers each."""
    return tuple((metric,) for metric in question.all_metrics) if question.is_ranking else (question.all_metrics,)


def _metric_rows(
    result: Backtest, origin: str, metrics: Sequence[Metric], weights: Numbers
) -> list[dict[str, str | float | None]]:
    """A row for each learner and metric at an origin; none of a learner that could not be fitted there."""

    @cache
    def measure(learner: str, metric: Metric) -> tuple[float, Numbers | None]:
        """The metric, and one value per resample."""
        evaluation: Evaluation = result.evaluations[origin, learner]
        drawn = _resamples(result, origin, learner, metric, weights)
        return float(evaluation.value(metric)), None if drawn is None else evaluation.value(metric, drawn)

    names = [learner.name for learner in result.learners if (origin, learner.name) in result.evaluations]
    return [
        {"origin": origin, "learner": name, "metric": metric.name}
        | _comparison(metric, *measure(name, metric), *measure(result.baseline, metric))
        for name in names
        for metric in metrics
    ]


def _comparison(
    metric: Metric, value: float, draws: Numbers | None, baseline: float, baseline_draws: Numbers | None
) -> dict[str, str | float | None]:
    """A value, the baseline's, and the gain, with their intervals where they were drawn."""
    gain = float(metric.gain(value, baseline))
    row: dict[str, str | float | None] = {
        "value": _known(value),
        "baseline_value": _known(baseline),
        "gain": _known(gain),
    } | dict.fromkeys(("low", "high", "gain_low", "gain_high"))
    if draws is not None and baseline_draws is not None:
        around, paired = (
            percentile_interval(value, draws),
            percentile_interval(gain, metric.gain(draws, baseline_draws)),
        )
        row |= {"low": _known(around.low), "high": _known(around.high)}
        row |= {"gain_low": _known(paired.low), "gain_high": _known(paired.high)}
    return row


def _resamples(result: Backtest, origin: str, learner: str, metric: Metric, weights: Numbers) -> Numbers | None:
    """Bootstrap weights of a metric; None for one without an interval."""
    question = result.question
    if question.is_ranking or metric == question.primary_metric:
        return weights
    has_interval = origin == ALL and learner in {result.champion, result.baseline, *question.baselines}
    return weights[:FEWER_RESAMPLES] if has_interval else None


def _coverage(champion: str, hits: Numbers, weights: Numbers, count: int) -> dict[str, str | float | None]:
    draws = weights @ hits / np.maximum(weights.sum(axis=1), 1.0)
    share = percentile_interval(float(hits.mean()), draws)
    names = {"origin": ALL, "learner": champion, "metric": COVERAGE, "customer_count": count}
    nothing = dict.fromkeys(("baseline_value", "gain", "gain_low", "gain_high"))
    return names | nothing | {"value": share.value, "low": share.low, "high": share.high}


def _conclude(  # noqa: PLR0913 - what the loop above has gathered
    question: Target,
    learners: tuple[Learner, ...],
    origins: tuple[str, ...],
    evaluations: Mapping[tuple[str, str], Evaluation],
    left_out: tuple[str, ...],
    rng: np.random.Generator,
    *,
    lacking: str,
) -> Backtest:
    default = default_learner(question, learners)
    with_default = tuple(name for name in origins if (name, default.name) in evaluations)
    champion = _better_on_most(question, default, learners, with_default, evaluations, rng) or default
    # why not all: another learner is shown where the champion could be evaluated, next to a baseline, and over all only
    # if it always was
    simple = [one.name for one in learners if one.is_baseline]
    shown = tuple(
        name
        for name in with_default
        if (name, champion.name) in evaluations and any((name, baseline) in evaluations for baseline in simple)
    )
    complete = [one for one in learners if shown and all((name, one.name) in evaluations for name in shown)]
    baselines = [learner for learner in complete if learner.is_baseline]
    if not baselines:
        cause = f"{default.name} or every baseline could not be fitted" if origins else lacking
        why = f"No past cutoff could be evaluated: {cause}. {default.name} is used, unproven."
        baseline = next(learner.name for learner in learners if learner.is_baseline)
        return Backtest(
            question,
            learners,
            origins=(),
            evaluations={key: one for key, one in evaluations.items() if key[1] == default.name},
            champion=default.name,
            baseline=baseline,
            why=why,
            unproven_because=cause,
            left_out=left_out,
        )
    kept = {key: one for key, one in evaluations.items() if key[0] in shown or key[1] == champion.name}
    for learner in complete:
        parts = [evaluations[name, learner.name] for name in shown]
        kept[ALL, learner.name] = parts[0].joined(parts[1:])
    primary = {learner.name: float(kept[ALL, learner.name].value(question.primary_metric)) for learner in complete}
    baseline = _best(question.primary_metric, baselines, primary)
    why = _reason(question, champion, default, baseline, primary, shown)
    return Backtest(
        question,
        learners,
        origins=shown,
        evaluations=kept,
        champion=champion.name,
        baseline=baseline.name,
        why=why,
        left_out=left_out,
        primary_metric=primary,
    )


def default_learner(question: Target, learners: Sequence[Learner]) -> Learner:
    """The question's default learner, or the simplest that is no baseline."""
    named = [learner for learner in learners if learner.name == question.default]
    return named[0] if named else min(learners, key=lambda learner: (learner.is_baseline, learner.complexity))


def _better_on_most(
    question: Target,
    default: Learner,
    learners: Sequence[Learner],
    origins: Sequence[str],
    evaluations: Mapping[tuple[str, str], Evaluation],
    rng: np.random.Generator,
) -> Learner | None:
    """A learner, no baseline, that is better than the default by a standard error at most of the origins they share.

    Of several the one with the largest gain. Of several origins, one that is shared proves nothing.
    """
    metric, found = question.primary_metric, dict[str, float]()
    for learner in learners:
        shared = [name for name in origins if (name, learner.name) in evaluations]
        if learner.is_baseline or learner is default or len(shared) < max(1, min(2, len(origins))):
            continue
        gains, is_better = [], []
        for name in shared:
            rival, own = evaluations[name, learner.name], evaluations[name, default.name]
            weights = bootstrap_weights(own.customer_ids(metric), rng=rng, resamples=FEWER_RESAMPLES)
            drawn = metric.gain(rival.value(metric, weights), own.value(metric, weights))
            gains.append(float(metric.gain(rival.value(metric), own.value(metric))))
            is_better.append(gains[-1] > float(np.std(drawn, ddof=1)))
        if np.mean(is_better) > MIN_SHARE_OF_CUTOFFS:
            found[learner.name] = float(np.mean(gains))
    return next((one for one in learners if found and one.name == max(found, key=lambda name: found[name])), None)


def _reason(
    question: Target,
    champion: Learner,
    default: Learner,
    baseline: Learner,
    primary: Mapping[str, float],
    origins: tuple[str, ...],
) -> str:
    """Why this learner is champion, for the model card."""
    metric = question.primary_metric.name
    where = f"over {len(origins)} past cutoffs ({', '.join(origins)})"
    number = f"{metric} {primary[champion.name]:.6g} {where}"
    runner_up = f"the best baseline, {baseline.name}, has {primary[baseline.name]:.6g}"
    if float(question.primary_metric.gain(primary[baseline.name], primary[champion.name])) > 0:
        return (
            f"{champion.name} has {number}; {runner_up}, which is better; a baseline is not used while a model can be."
        )
    if champion is default:
        return f"{champion.name} has {number}; no learner is better by more than noise; {runner_up}."
    return (
        f"{champion.name} is better than {default.name} by more than noise at most past cutoffs: {number}; {runner_up}."
    )


def _best(metric: Metric, learners: Sequence[Learner], values: Mapping[str, float]) -> Learner:
    """The best on a metric; of equals the simpler."""
    sign = -1 if metric.higher_is_better else 1
    return min(learners, key=lambda one: (sign * values[one.name], one.complexity))


def _known(value: float) -> float | None:
    """NaN is NULL in the lake."""
    return float(value) if np.isfinite(value) else None
