"""The predict stage of a run: backtest each question, fit its champion, keep it, and score every customer."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from patron.predict.backtest import ALL, Backtest, backtest, to_table, unlabelled
from patron.predict.learner import FORECAST, LABEL, Fitted, Learner, reasons
from patron.predict.learners import LEARNERS
from patron.predict.model_card import card_of, card_text
from patron.predict.prediction_intervals import Outcomes
from patron.predict.value.shop_total import ShopTotal
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import CHURN, PURCHASE, VALUE, Question, label_query, label_windows
from patron.schema.tables import BACKTESTS, SCORES, SHOP_FORECASTS
from patron.storage import model_registry
from patron.storage.engine import timestamp
from patron.storage.stage_view import StageView

SCORED = (VALUE, CHURN, PURCHASE)
MOST_ROWS = 100_000
"""Customers times cutoffs that are learned from and judged; of more, customers are sampled by the hash of their id.

All customers are scored. It bounds time and memory of a run: the backtest fits every learner several times."""
BUCKETS = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
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


@dataclass(frozen=True)
class Summary:
    """What predict did in a run."""

    answered: tuple[Answered, ...]
    unanswered: tuple[str, ...]
    """Questions that nothing could be fitted for, with the reason."""


@dataclass(frozen=True)
class Data:
    """The run's features: those to learn from (past cutoffs and now, a sample), and those to score (now, all)."""

    known: pa.Table
    current: pa.Table


def run(view: StageView, *, also: Sequence[Callable[[StageView], pa.Table]] = ()) -> Summary:
    """Answer every question for the run's cutoff: writes `scores`, and `backtests` with the rows that `also` adds.

    Raises NotEnoughData when no question at all could be answered.
    """
    # why: matrices are small here, threads of BLAS wait for each other, up to ten times as long on two busy cores;
    # and sums do not depend on how many cores there are
    with threadpool_limits(limits=1, user_api="blas"):
        return _run(view, also)


def _run(view: StageView, also: Sequence[Callable[[StageView], pa.Table]]) -> Summary:
    data = read_data(view)
    scores, backtests, totals, answered, unanswered = [], [], [], [], []
    for question in SCORED:
        try:
            found, judged, total, summary = answer(view, question, data)
        except NotEnoughData as error:
            unanswered.append(f"{question.name}: {error.what}")
            log.warning("%s is not answered: %s", question.name, error)
            continue
        scores.append(found)
        backtests.append(judged)
        totals.append(total)
        answered.append(summary)
    if not answered:
        raise NotEnoughData(
            "; ".join(unanswered), where=f"run {view.run.run_id}", todo="Import a longer history of orders."
        )
    added = [more(view) for more in also]
    view.write("scores", pa.concat_tables([SCORES.empty(), *scores]))
    view.write("backtests", pa.concat_tables([BACKTESTS.empty(), *backtests, *added]))
    view.write("shop_forecasts", pa.concat_tables([SHOP_FORECASTS.empty(), *totals]))
    return Summary(tuple(answered), tuple(unanswered))


def read_data(view: StageView) -> Data:
    """Read the run's features once, in a fixed order. Raises NotEnoughData when there is no customer to score."""
    own = f"select * from features where run_id = '{view.run.run_id}'"
    now = timestamp(view.run.as_of)
    current = view.query(f"select * from ({own}) f where as_of = {now} order by customer_id")
    if not current.num_rows:
        raise NotEnoughData(
            "no customer with an order", where=f"run {view.run.run_id}", todo="Import orders known before it."
        )
    row_count = view.query(f"select count(*) as n from ({own}) f")["n"][0].as_py()
    share = min(1.0, MOST_ROWS / row_count)
    sampled = "true" if share == 1 else f"substr(md5(customer_id), 1, 3) < '{int(share * BUCKETS):03x}'"
    known = view.query(f"select * from ({own}) f where as_of <= {now} and {sampled} order by as_of, customer_id")
    return Data(known, current)


def with_labels(view: StageView, question: Question, rows: pa.Table) -> pa.Table:
    """The question's population, with the labels that are known by the run; NULL where they are not yet."""
    population = view.query(f"select * from given where {question.population} order by as_of, customer_id", given=rows)
    last = view.run.as_of - timedelta(days=question.horizon_days)
    kind = population.schema.field("as_of").type
    done = population.filter(pc.less_equal(population["as_of"], pa.scalar(last, kind)))
    windows = label_windows(done.select(["customer_id", "as_of"]), question.horizon_days)
    labels = view.query(f"{label_query(question)} order by m.as_of, m.customer_id", label_windows=windows)
    # `done` are the first rows of the population, in the same order: the wide features need not be joined
    unknown = pa.nulls(population.num_rows - done.num_rows, pa.float64())
    return population.append_column(LABEL, pa.chunked_array([*labels[LABEL].cast(pa.float64()).chunks, unknown]))


def answer(
    view: StageView, question: Question, data: Data, learners: tuple[Learner, ...] | None = None
) -> tuple[pa.Table, pa.Table, pa.Table, Answered]:
    """Backtest, fit, keep and score one question: rows of `scores`, `backtests` and `shop_forecasts`, and a summary.

    Raises NotEnoughData when no learner can be fitted.
    """
    rows = with_labels(view, question, data.known)
    rng = np.random.default_rng(view.run.child_seed(f"backtest {question.name}"))
    learners = learners or LEARNERS[question.name]
    result = backtest(question, learners, rows, as_of=view.run.as_of, rng=rng)
    learner, fitted = fit_first(result, rows)
    judged = to_table(result, run_id=view.run.run_id, rng=rng)
    version = keep(view, result, learner, fitted, rows, judged)
    current = view.query(f"select * from given where {question.population} order by customer_id", given=data.current)
    scores = score(view, result, fitted, unlabelled(current), version)
    total = shop_forecast(view, question, fitted, scores)
    return scores, judged, total, _summary(result, learner, version, judged, scores.num_rows)


def fit_first(result: Backtest, rows: pa.Table) -> tuple[Learner, Fitted]:
    """Fit the champion to everything known; where it cannot be fitted, the next simplest. Raises NotEnoughData."""
    simplest_first = sorted(result.learners, key=lambda one: (one.is_baseline, one.complexity))
    champion = [one for one in result.learners if one.name == result.champion]
    problem = NotEnoughData("no learner", where=result.question.name)
    for learner in [*champion, *simplest_first]:
        try:
            return learner, learner.fit(rows)
        except NotEnoughData as error:
            problem = error
    raise problem


def score(view: StageView, result: Backtest, fitted: Fitted, rows: pa.Table, version: str) -> pa.Table:
    """Rows of `scores` for these customers, with an interval for amounts and reasons where the model gives them."""
    if not rows.num_rows:
        return SCORES.empty()
    forecast = float_column(fitted.predict(rows), FORECAST)
    low, high = _interval(result, forecast)
    return pa.table(
        {
            "run_id": pa.array([view.run.run_id] * rows.num_rows, pa.string()),
            "customer_id": rows["customer_id"],
            "as_of": rows["as_of"],
            "question": pa.array([result.question.name] * rows.num_rows, pa.string()),
            "model_version": pa.array([version] * rows.num_rows, pa.string()),
            "value": pa.array(forecast),
            "low": low,
            "high": high,
            "reasons": _reasons(fitted, rows),
        },
        schema=SCORES.schema(),
    )


def shop_forecast(view: StageView, question: Question, fitted: Fitted, scores: pa.Table) -> pa.Table:
    """Row of `shop_forecasts` where the forecasts add up to one of the shop; none for other learners.

    The learner may have seen a sample of the customers: the interval is in proportion to what all of them add up to.
    """
    total: ShopTotal | None = getattr(fitted, "adds_up_to", None)
    if total is None or not scores.num_rows:
        return SHOP_FORECASTS.empty()
    value = float(float_column(scores, "value").sum())
    row = {
        "run_id": view.run.run_id,
        "question": question.name,
        "value": value,
        "low": value * total.low_cents / total.cents,
        "high": value * total.high_cents / total.cents,
        "season": total.season,
        "is_season_observed": total.is_season_observed,
    }
    return pa.Table.from_pylist([row], schema=SHOP_FORECASTS.schema())


def keep(view: StageView, result: Backtest, learner: Learner, fitted: Fitted, rows: pa.Table, judged: pa.Table) -> str:
    """Save the fitted champion with its manifest, metrics and card; returns its model_version."""
    manifest = model_registry.Manifest(
        question=result.question.name,
        version=view.run.run_id,
        learner=learner.name,
        settings=asdict(learner),
        as_of=view.run.as_of.isoformat(),
        seed=view.run.seed,
        feature_version=str(rows["feature_version"][0].as_py()),
        table_versions={name: view.table_version(name) for name in ("features", "order_lines")},
        row_count=rows.num_rows,
        data_hash=model_registry.data_hash(rows),
    )
    card = card_of(result, learner, manifest)
    own = judged.filter(pc.equal(judged["learner"], learner.name)).to_pylist()
    metrics = {f"{row['origin']}/{row['metric']}": row["value"] for row in own}
    kept = model_registry.Saved(manifest, metrics, card, card_text(card, judged))
    return model_registry.save(view.models_folder, fitted, kept)


def _interval(result: Backtest, forecast: Numbers) -> tuple[pa.Array, pa.Array]:
    nothing = pa.nulls(len(forecast), pa.float64())
    judged = result.judged.get((ALL, result.champion))
    if result.question.is_probability or judged is None:
        return nothing, nothing
    ends = Outcomes.of(judged.actual, judged.forecast).interval(forecast)
    return (nothing, nothing) if ends is None else (pa.array(ends[0]), pa.array(ends[1]))


def _reasons(fitted: Fitted, rows: pa.Table) -> pa.Array:
    kind = SCORES.schema().field("reasons").type
    contributions = getattr(fitted, "contributions", None)
    if contributions is None:
        return pa.nulls(rows.num_rows, kind)
    names, values = contributions(rows)
    return pa.array(reasons(names, values), kind)


def _summary(result: Backtest, learner: Learner, version: str, judged: pa.Table, scored_count: int) -> Answered:
    primary_metric = result.question.primary_metric.name
    own = [
        row
        for row in judged.to_pylist()
        if (row["origin"], row["learner"], row["metric"]) == (ALL, learner.name, primary_metric)
    ]
    row = own[0] if own else {"value": None, "low": None, "high": None, "baseline_value": None}
    numbers = {name: row[name] for name in ("value", "low", "high", "baseline_value")}
    return Answered(
        question=result.question.name,
        champion=learner.name,
        model_version=version,
        metric=primary_metric,
        baseline=result.baseline,
        scored_count=scored_count,
        why=result.why,
        **numbers,
    )
