"""What each customer needs next: both questions of categories backtested, answered, and the best of each kept.

No forecast here contradicts those of the customer: a category is bought with at most the chance of an order, and all
categories together cost at most what the customer is expected to pay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST
from patron.predict.backtest import DAYS_BETWEEN_CUTOFFS
from patron.predict.category_needs import LEARNERS
from patron.predict.category_needs.pair_rows import FEATURE_VERSION, CategoryPairs, labelled_by, pair_table
from patron.predict.category_needs.purchases import Purchases, read_purchases
from patron.predict.category_needs.ranked_needs import CustomerLimits, Forecasts, ranked_needs
from patron.predict.origins import cutoff_origins
from patron.predict.part_result import PartResult, log_unanswered
from patron.predict.retraining import CurrentModel, train_or_reuse
from patron.predict.training import TrainedModel, train_model
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import (
    CATEGORY_PURCHASE,
    CATEGORY_SPEND,
    DAYS_BEFORE_FORECAST,
    PURCHASE,
    VALUE,
    CategoryQuestion,
)
from patron.schema.numbers import float_column
from patron.schema.tables import BACKTESTS, CATEGORY_FORECASTS, CATEGORY_NEEDS
from patron.storage.runs.stage_view import StageView

TABLES = ("order_lines", "orders")
MAX_PAST_CUTOFFS = 9
"""Past cutoffs that are learned from and evaluated, 30 days apart."""
MAX_ROWS = 24_000
"""Pairs of customer and category, times cutoffs, that are learned from; of more, a sample. It bounds time."""
CUSTOMERS_AT_ONCE = 20_000
"""Customers who are scored together, which bounds memory."""


@dataclass
class Models:
    """The models of a run by question, and why others are missing."""

    by_question: dict[str, CurrentModel] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class FittedCategories:
    """Purchases by category, and the models that were fitted to them."""

    purchases: Purchases
    models: Models


def build_category_needs(
    view: StageView, scores: Sequence[pa.Table], fitted: FittedCategories | None = None
) -> PartResult:
    """Write `category_needs` and `category_forecasts`; no rows where the probability of a purchase has no model.

    `scores` are the run's rows of `scores`, a table per question; `fitted` is what `fit_categories` has returned.
    """
    needs, totals = CATEGORY_NEEDS.empty(), CATEGORY_FORECASTS.empty()
    fitted = fitted or fit_categories(view)
    models = fitted.models
    try:
        limits = customer_limits(scores)
        if CATEGORY_PURCHASE.name in models.by_question:
            needs, totals = score_categories(view, fitted.purchases, models, limits)
    except NotEnoughData as error:
        models = Models(unanswered=[log_unanswered(view, CATEGORY_PURCHASE, error)])
    view.write("category_needs", needs)
    view.write("category_forecasts", totals)
    used = models.by_question.values()
    backtests = pa.concat_tables([BACKTESTS.empty(), *(model.backtests for model in used)])
    return PartResult(backtests, tuple(models.unanswered), tuple(model.training for model in used))


def fit_categories(view: StageView) -> FittedCategories:
    """What the run knows of purchases by category, and the models of both questions, which need no scores."""
    purchases = read_purchases(view)
    try:
        return FittedCategories(purchases, fit_models(view, purchases))
    except NotEnoughData as error:
        return FittedCategories(purchases, Models(unanswered=[log_unanswered(view, CATEGORY_PURCHASE, error)]))


def customer_limits(scores: Sequence[pa.Table]) -> CustomerLimits:
    """What the run forecasts of each customer. Raises NotEnoughData where it does not."""
    by_question = {table["question"][0].as_py(): table for table in scores if table.num_rows}
    missing = [question.name for question in (PURCHASE, VALUE) if question.name not in by_question]
    if missing:
        raise NotEnoughData(f"there is no forecast of {' and '.join(missing)}", where="scores")
    chance, value = by_question[PURCHASE.name], by_question[VALUE.name]
    return CustomerLimits(_by_customer(chance), _by_customer(value))


def fit_models(view: StageView, purchases: Purchases) -> Models:
    """Train and keep the champions of both questions, or take earlier ones. Raises NotEnoughData without categories."""
    if not len(purchases.categories):
        raise NotEnoughData(
            "no order line names a category", where="order_lines", todo="Import categories of order lines or products."
        )
    models = Models()
    rows = cache(lambda: learning_rows(purchases, view.run.as_of))
    for question in (CATEGORY_PURCHASE, CATEGORY_SPEND):
        try:
            models.by_question[question.name] = current_model(view, question, rows)
        except NotEnoughData as error:
            models.unanswered.append(log_unanswered(view, question, error))
    return models


def current_model(view: StageView, question: CategoryQuestion, rows: Callable[[], pa.Table]) -> CurrentModel:
    """The champion, perhaps trained to rows. Raises NotEnoughData, also where no past cutoff could be evaluated."""
    learners = LEARNERS[question.name]

    def train() -> TrainedModel:
        labelled = labelled_by(rows(), question)
        origins = cutoff_origins(question, labelled, view.run.as_of)
        return train_model(view, question, learners, origins, labelled, history="order_lines")

    return train_or_reuse(view, question, learners, feature_version=FEATURE_VERSION, tables=TABLES, train=train)


def score_categories(
    view: StageView, purchases: Purchases, models: Models, limits: CustomerLimits
) -> tuple[pa.Table, pa.Table]:
    """Rows of `category_needs` and `category_forecasts`."""
    market = CategoryPairs.at(purchases, 0)
    parts = [
        ranked_needs(rows, _forecasts(models, rows), limits)
        for rows in (
            pair_table(market, view.run.as_of, first=first, end=first + CUSTOMERS_AT_ONCE)
            for first in range(0, len(purchases.customers), CUSTOMERS_AT_ONCE)
        )
    ]
    same = {
        "run_id": view.run.run_id,
        "model_version": models.by_question[CATEGORY_PURCHASE.name].training.model_version,
    }
    needs = pa.concat_tables([part.needs for part in parts])
    for name, text in same.items():
        needs = needs.append_column(name, pa.repeat(text, needs.num_rows))
    sums = pa.concat_tables([part.totals for part in parts]).group_by("category", use_threads=False)
    columns = ("expected_customers", "due_customer_count", "expected_cents")
    totals = sums.aggregate([(name, "sum") for name in columns])
    totals = totals.rename_columns(["category", *columns]).sort_by("category")
    totals = totals.append_column("run_id", pa.repeat(view.run.run_id, totals.num_rows))
    return needs, totals


def learning_rows(purchases: Purchases, as_of: datetime) -> pa.Table:
    """Pairs at past cutoffs, the earliest first, a sample of bounded size, with what came."""
    cutoffs = past_cutoffs(purchases)
    now = CategoryPairs.at(purchases, 0)
    if not cutoffs:
        return pair_table(now, as_of, end=0)
    share = min(1.0, MAX_ROWS / max(now.candidate_count * len(cutoffs), 1))
    return pa.concat_tables([pair_table(CategoryPairs.at(purchases, days), as_of, share=share) for days in cutoffs])


def past_cutoffs(purchases: Purchases) -> list[int]:
    """Days from past cutoffs to the run, the earliest first, while there is some history before them."""
    known = purchases.orders.known_ago
    oldest = int(known.max()) if len(known) else 0
    steps = (DAYS_BETWEEN_CUTOFFS * back for back in range(MAX_PAST_CUTOFFS, 0, -1))
    return [days for days in steps if days + DAYS_BEFORE_FORECAST <= oldest]


def _forecasts(models: Models, rows: pa.Table) -> Forecasts:
    forecast = {name: float_column(model.fitted.predict(rows), FORECAST) for name, model in models.by_question.items()}
    return Forecasts(forecast[CATEGORY_PURCHASE.name], forecast.get(CATEGORY_SPEND.name))


def _by_customer(scores: pa.Table) -> pa.Table:
    return scores.select(["customer_id", "value"]).take(pc.sort_indices(scores["customer_id"]))
