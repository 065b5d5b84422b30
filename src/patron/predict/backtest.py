"""The backtest: forecast from where one could have stood, always a cut in time, always beside the baselines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.learner import FORECAST, LABEL, Fitted, Learner
from patron.predict.prediction_intervals import Outcomes
from patron.schema.bootstrap_intervals import Interval, bootstrap_weights, interval, paired_gain, percentile_interval
from patron.schema.errors import NotEnoughData
from patron.schema.metrics import Metric
from patron.schema.numbers import Numbers, float_column
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
"""Metric that no learner is chosen by: how often the champion's 80 % interval held what came."""


@dataclass(frozen=True)
class Judged:
    """One learner's forecasts of one or more origins, row by row, with what happened."""

    customers: npt.NDArray[np.str_]
    actual: Numbers
    forecast: Numbers


@dataclass(frozen=True)
class Backtest:
    """What every learner forecast at every origin, and which of them is used."""

    question: Question
    learners: tuple[Learner, ...]
    origins: tuple[str, ...]
    """Dates judged, newest first."""
    judged: Mapping[tuple[str, str], Judged]
    """By (origin or 'all', learner)."""
    champion: str
    baseline: str
    """The baseline that is best on the primary_metric."""
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


def training_cutoffs(cutoffs: Iterable[datetime], origin: datetime, horizon_days: int) -> list[datetime]:
    """Cutoffs whose labels are known by `origin`: no later than `origin - horizon`."""
    return sorted(cutoff for cutoff in set(cutoffs) if cutoff + timedelta(days=horizon_days) <= origin)


def backtest(
    question: Question, learners: tuple[Learner, ...], rows: pa.Table, *, as_of: datetime, rng: np.random.Generator
) -> Backtest:
    """Judge every learner at up to three origins; each is fitted to what was known there.

    `rows` holds customer_id, as_of, features and `label` of past cutoffs, the population only. With no origin to judge
    at, the champion is the simplest learner, and `why` says so. `rng` draws the customers by whom learners are compared
    where the question has a `tie_break`.
    """
    cutoffs = pc.unique(rows["as_of"]).to_pylist()
    judgeable = training_cutoffs(cutoffs, as_of, question.horizon_days)[::-1][:MOST_ORIGINS]
    found: dict[tuple[str, str], Judged] = {}
    missing: dict[str, str] = {}
    origins = []
    for origin in judgeable:
        here = at(rows, origin)
        if here.num_rows < question.fewest_customers:
            continue
        name = origin.strftime("%Y-%m-%d")
        origins.append(name)
        known = known_at_origin(rows, origin, question.horizon_days)
        fitted: dict[str, Fitted] = {}
        for learner in learners:
            try:
                fitted[learner.name] = _fitted(learner, known, fitted)
            except NotEnoughData as error:
                missing.setdefault(learner.name, f"{learner.name} could not be fitted at {name}: {error.what}")
                continue
            found[name, learner.name] = _judge(here, float_column(fitted[learner.name].predict(here), FORECAST))
    return _conclude(question, learners, tuple(origins), found, missing, rng, judgeable=bool(judgeable))


def known_at_origin(rows: pa.Table, origin: datetime, horizon_days: int) -> pa.Table:
    """Earlier cutoffs with the labels known by the origin, and the origin's own rows without a label."""
    kind = rows.schema.field("as_of").type
    past = rows.filter(pc.less_equal(rows["as_of"], pa.scalar(origin - timedelta(days=horizon_days), kind)))
    return pa.concat_tables([past, unlabelled(at(rows, origin))])


def unlabelled(rows: pa.Table) -> pa.Table:
    """The rows with their label taken away (or never given)."""
    nothing = pa.nulls(rows.num_rows, pa.float64())
    if LABEL not in rows.column_names:
        return rows.append_column(LABEL, nothing)
    return rows.set_column(rows.column_names.index(LABEL), LABEL, nothing)


def at(rows: pa.Table, cutoff: datetime) -> pa.Table:
    """The rows of one cutoff."""
    return rows.filter(pc.equal(rows["as_of"], pa.scalar(cutoff, rows.schema.field("as_of").type)))


def to_table(result: Backtest, *, run_id: str, rng: np.random.Generator) -> pa.Table:
    """Rows of `backtests`: each origin and all together, every learner and metric, intervals over customers.

    The gain is paired with the best baseline. The primary metric has an interval everywhere; the other metrics, slower to
    draw, for the champion and the baselines over all origins together. Of the champion's 80 % intervals it is told
    how often they held what came, each origin's learnt from the others.
    """
    rows = []
    for origin in (*result.origins, ALL) if result.origins else ():
        naive = result.judged[origin, result.baseline]
        weights = bootstrap_weights(naive.customers, rng=rng)
        count = len(np.unique(naive.customers))
        for learner in result.learners:
            judged = result.judged.get((origin, learner.name))
            if judged is None:
                continue
            drawn = _resamples(result, origin, learner.name, weights)
            for metric in result.question.all_metrics:
                names = {"origin": origin, "learner": learner.name, "metric": metric.name, "customer_count": count}
                rows.append(names | _numbers(metric, judged, naive, drawn.get(metric.name)))
        if origin == ALL and (held := covered(result)) is not None:
            rows.append(_coverage(result.champion, held, weights, count))
    same = {
        "run_id": run_id,
        "question": result.question.name,
        "champion": result.champion,
        "baseline": result.baseline,
    }
    return pa.Table.from_pylist([same | row for row in rows], schema=BACKTESTS.schema())


def gain_over(result: Backtest, learner: str, forecast: Numbers, *, rng: np.random.Generator) -> Interval:
    """Paired gain of a learner over any other forecast of all judged rows, on the primary metric."""
    judged = result.judged[ALL, learner]
    weights = bootstrap_weights(judged.customers, rng=rng)
    return paired_gain(result.question.primary_metric, judged.actual, judged.forecast, forecast, weights=weights)


def covered(result: Backtest) -> Numbers | None:
    """Whether each outcome was within the champion's 80 % interval, learnt from the other origins; None with one."""
    if result.question.is_probability or len(result.origins) < 2:
        return None
    judged = [result.judged[origin, result.champion] for origin in result.origins]
    held = []
    for place, here in enumerate(judged):
        others = _together([one for other, one in enumerate(judged) if other != place])
        ends = Outcomes.of(others.actual, others.forecast).interval(here.forecast)
        if ends is None:
            return None
        held.append(((here.actual >= ends[0]) & (here.actual <= ends[1])).astype(np.float64))
    return np.concatenate(held)


def _coverage(champion: str, held: Numbers, weights: Numbers, count: int) -> dict[str, str | float | None]:
    draws = weights @ held / np.maximum(weights.sum(axis=1), 1.0)
    found = percentile_interval(float(held.mean()), draws)
    named = {"origin": ALL, "learner": champion, "metric": COVERAGE, "customer_count": count}
    nothing = dict.fromkeys(("baseline_value", "gain", "gain_low", "gain_high"))
    return named | nothing | {"value": found.value, "low": found.low, "high": found.high}


def _resamples(result: Backtest, origin: str, learner: str, weights: Numbers) -> dict[str, Numbers]:
    """Bootstrap weights of each metric that gets an interval."""
    drawn = {result.question.primary_metric.name: weights}
    naive = set(result.question.baselines)
    if origin == ALL and learner in {result.champion, *naive}:
        drawn |= {metric.name: weights[:FEWER_RESAMPLES] for metric in result.question.metrics}
    return drawn


def _fitted(learner: Learner, known: pa.Table, others: Mapping[str, Fitted]) -> Fitted:
    """A learner that combines others is given those that are fitted already."""
    combined = getattr(learner, "combined", None)
    return learner.fit(known) if combined is None else combined(known, others)


def _judge(here: pa.Table, forecast: Numbers) -> Judged:
    customers = np.array(here["customer_id"].to_pylist(), dtype=np.str_)
    return Judged(customers, float_column(here, LABEL), forecast)


def _conclude(
    question: Question,
    learners: tuple[Learner, ...],
    origins: tuple[str, ...],
    found: dict[tuple[str, str], Judged],
    missing: Mapping[str, str],
    rng: np.random.Generator,
    *,
    judgeable: bool,
) -> Backtest:
    complete = [learner for learner in learners if origins and all((one, learner.name) in found for one in origins)]
    for learner in complete:
        found[ALL, learner.name] = _together([found[origin, learner.name] for origin in origins])
    kept = {key: judged for key, judged in found.items() if (ALL, key[1]) in found}
    primary_metric = {
        learner.name: float(
            question.primary_metric.of(kept[ALL, learner.name].actual, kept[ALL, learner.name].forecast)
        )
        for learner in complete
    }
    left_out = tuple(missing.values())
    naive = [one for one in complete if one.is_baseline]
    if not naive:
        baseline = next(learner.name for learner in learners if learner.is_baseline)
        first = min(learners, key=lambda one: (one.is_baseline, one.complexity))
        lacking = f"fewer than {question.fewest_customers} to judge at each" if judgeable else "too little history"
        why = f"No past cutoff could be judged: {lacking}. The simplest learner is used, unproven."
        return Backtest(question, learners, (), {}, first.name, baseline, why, left_out)
    best, baseline = (
        _best(question.primary_metric, complete, primary_metric),
        _best(question.primary_metric, naive, primary_metric),
    )
    judged = {learner.name: kept[ALL, learner.name] for learner in complete}
    able = [
        one
        for one in complete
        if not one.is_baseline and _is_no_worse(question.primary_metric, one, baseline, primary_metric)
    ]
    champion = best if best.is_baseline else _first_of_like(question, best, able, judged, primary_metric, rng)
    why = _reason(question, champion, best, baseline, primary_metric, origins)
    return Backtest(question, learners, origins, kept, champion.name, baseline.name, why, left_out, primary_metric)


def _best(metric: Metric, learners: Sequence[Learner], values: Mapping[str, float]) -> Learner:
    """The best on a metric; of equals one that is no baseline, then the simpler."""
    sign = -1 if metric.higher_is_better else 1
    return min(learners, key=lambda one: (sign * values[one.name], one.is_baseline, one.complexity))


def _is_no_worse(metric: Metric, learner: Learner, than: Learner, values: Mapping[str, float]) -> bool:
    return metric.gain(values[learner.name], values[than.name]) >= 0


def _first_of_like(
    question: Question,
    best: Learner,
    learners: Sequence[Learner],
    judged: Mapping[str, Judged],
    primary_metric: Mapping[str, float],
    rng: np.random.Generator,
) -> Learner:
    """The best on the tie-break of those hardly behind on the primary_metric, where it leads the best by a standard error."""
    metric = question.tie_break
    if metric is None:
        return best
    margin = HARDLY * abs(primary_metric[best.name])
    near = [
        one
        for one in learners
        if question.primary_metric.gain(primary_metric[best.name], primary_metric[one.name]) <= margin
    ]
    own = judged[best.name]
    values = {one.name: float(metric.of(own.actual, judged[one.name].forecast)) for one in near}
    other = _best(metric, near, values)
    if other is best:
        return best
    weights = bootstrap_weights(own.customers, rng=rng)
    of_best, of_other = (metric.of(own.actual, judged[one.name].forecast, weights) for one in (best, other))
    error = float(np.std(metric.gain(of_other, of_best), ddof=1))
    return other if metric.gain(values[other.name], values[best.name]) > error else best


def _reason(
    question: Question,
    champion: Learner,
    best: Learner,
    baseline: Learner,
    primary_metric: Mapping[str, float],
    origins: tuple[str, ...],
) -> str:
    where = f"over {len(origins)} past cutoffs ({', '.join(origins)})"
    number = f"{question.primary_metric.name} {primary_metric[champion.name]:.6g}"
    if champion.is_baseline:
        return f"{champion.name} has the best {number} {where}: no learner beats the baselines, so the rule is used."
    naive = f"the best baseline, {baseline.name}, has {primary_metric[baseline.name]:.6g}"
    if champion is best or question.tie_break is None:
        return f"{champion.name} has the best {number} {where}; {naive}."
    second = question.tie_break.name
    like = f"{best.name} has {primary_metric[best.name]:.6g}, which is hardly better, and a worse {second}"
    return f"{champion.name} has {number} {where}; {like}; {naive}."


def _together(parts: Sequence[Judged]) -> Judged:
    return Judged(
        np.concatenate([one.customers for one in parts]),
        np.concatenate([one.actual for one in parts]),
        np.concatenate([one.forecast for one in parts]),
    )


def _numbers(metric: Metric, judged: Judged, naive: Judged, weights: Numbers | None) -> dict[str, float | None]:
    value = metric.of(judged.actual, judged.forecast)
    baseline = metric.of(naive.actual, naive.forecast)
    own = gain = None
    if weights is not None:
        own = interval(metric, judged.actual, judged.forecast, weights=weights)
        gain = paired_gain(metric, judged.actual, judged.forecast, naive.forecast, weights=weights)
    return {
        "value": _known(value),
        "low": _known(own.low) if own else None,
        "high": _known(own.high) if own else None,
        "baseline_value": _known(baseline),
        "gain": _known(metric.gain(value, baseline)),
        "gain_low": _known(gain.low) if gain else None,
        "gain_high": _known(gain.high) if gain else None,
    }


def _known(value: float) -> float | None:
    """NaN is NULL in the lake."""
    return float(value) if np.isfinite(value) else None
