"""The charts of each page, or None where there is nothing to draw."""

import json
from dataclasses import dataclass, replace
from itertools import accumulate

from patron.answers.insight.overview import Overview
from patron.answers.models.models import Models, Question
from patron.answers.models.repeat_purchase import RepeatPurchase, RepeatPurchaseModel
from patron.clv import FittedParetoNBD
from patron.clv.diagnostics import frequency_recency
from patron.interfaces.charts import (
    churn_charts,
    clv_charts,
    evaluation_charts,
    retention,
    revenue_charts,
    segment_charts,
)
from patron.interfaces.charts.chart import HALF, Chart
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.customers.cohort import Cohort
from patron.schema.models.questions import VALUE
from patron.schema.table_metadata import with_metadata

HORIZON_DAYS = float(VALUE.horizon_days)
MAX_FREQUENCY = 12


@dataclass(frozen=True)
class OverviewCharts:
    """Charts of the overview."""

    revenue: Chart
    lifecycle_stages: Chart
    personas: Chart | None
    value: Chart | None
    effects: Chart | None


@dataclass(frozen=True)
class ReportCharts(OverviewCharts):
    """Charts of the report."""

    cohorts: Chart | None
    drivers: Chart | None
    deciles: tuple[Chart, ...]
    spread: Chart | None
    drift: Chart | None
    repeat_purchase: tuple[Chart, ...]


def overview_charts(overview: Overview, words: Words, formats: Formats) -> OverviewCharts:
    """Draw what the overview shows."""
    return OverviewCharts(
        revenue=revenue_charts.revenue_by_week(overview.weeks, words, formats),
        lifecycle_stages=segment_charts.lifecycle_stages(overview.lifecycle_stages, words, formats),
        personas=segment_charts.personas(overview.personas, words, formats) if overview.personas else None,
        value=segment_charts.value(overview.value, words, formats) if overview.value.bins else None,
        effects=evaluation_charts.effects(overview.effects, overview.offer_names, words, formats)
        if overview.effects
        else None,
    )


def report_charts(
    overview: Overview,
    cohorts: tuple[Cohort, ...],
    models: Models,
    model: RepeatPurchaseModel | None,
    words: Words,
    formats: Formats,
) -> ReportCharts:
    """Draw what the report shows; `model` is that of repeat purchase."""
    drawn = [deciles(question, words, formats) for question in models.questions]
    spreads = (spread(question, words, formats) for question in models.questions)
    return ReportCharts(
        **vars(overview_charts(overview, words, formats)),
        cohorts=retention_chart(cohorts, words, formats),
        drivers=drivers_chart(models, words, formats),
        deciles=tuple(chart for chart in drawn if chart),
        spread=next((chart for chart in spreads if chart), None),
        drift=drift_chart(models, words, formats),
        repeat_purchase=repeat_purchase_charts(models.repeat_purchase, model, words, formats),
    )


def retention_chart(cohorts: tuple[Cohort, ...], words: Words, formats: Formats) -> Chart | None:
    """Monthly cohorts; None before one has had a second month."""
    return retention.retention(cohorts, words, formats) if any(len(c.shares) > 1 for c in cohorts) else None


def repeat_purchase_charts(
    purchase: RepeatPurchase | None, model: RepeatPurchaseModel | None, words: Words, formats: Formats
) -> tuple[Chart, ...]:
    """Actual and expected orders by week, and P(alive) by history; nothing where too little was known."""
    if purchase is None or not purchase.weeks:
        return ()
    counts, expected = ([getattr(week, name) for week in purchase.weeks] for name in ("order_count", "expected_orders"))
    columns = {
        "at": [week.ended_at for week in purchase.weeks],
        "orders": counts,
        "expected": expected,
        "orders_so_far": list(accumulate(counts)),
        "expected_so_far": list(accumulate(expected)),
        "is_holdout": [week.is_held_out for week in purchase.weeks],
    }
    weeks = with_metadata(columns, fitted_until=purchase.weeks_known_until.date())
    if model is None:  # alone it has the whole width
        return (clv_charts.tracking(weeks, words, formats),)
    tracked = clv_charts.tracking(weeks, words, formats, width=HALF)
    matrix = frequency_recency(
        FittedParetoNBD.from_dict(json.loads(model.model)),
        HORIZON_DAYS,
        T=float(model.history_days),
        most_frequency=MAX_FREQUENCY,
    )
    return (tracked, clv_charts.frequency_recency(matrix, words, formats, of="probability_alive"))


def deciles(question: Question, words: Words, formats: Formats) -> Chart | None:
    """Forecast against actual, for the latest forecast of a question that could be checked."""
    if not question.checks:
        return None
    latest = question.checks[0].scored_at
    checks = [check for check in question.checks if check.scored_at == latest]
    return evaluation_charts.forecast_by_decile(checks, question.question, question.unit, words, formats)


def spread(question: Question, words: Words, formats: Formats) -> Chart | None:
    """Lorenz curve of what a question's champion expects, for amounts."""
    values = question.spread
    if values is None:
        return None
    steps = len(values.shares_held) - 1
    columns = {
        "share_of_customers": [place / steps for place in range(steps + 1)],
        "share_of_value": values.shares_held,
    }
    return replace(
        clv_charts.lorenz(with_metadata(columns, gini=values.gini), words, formats),
        title=words("chart.lorenz.expected_title"),
    )


def drivers_chart(models: Models, words: Words, formats: Formats) -> Chart | None:
    """First reasons of customers likely to leave; None in a run without reasons."""
    return churn_charts.drivers(models.churn_drivers, words, formats) if models.churn_drivers else None


def dependence_charts(models: Models, words: Words, formats: Formats) -> tuple[Chart, ...]:
    """What the strongest features do to the churn probability."""
    return tuple(churn_charts.dependence(one, words, formats) for one in models.partial_dependence)


def drift_chart(models: Models, words: Words, formats: Formats) -> Chart | None:
    """Features that moved most."""
    return evaluation_charts.drift(models.drift, words, formats) if models.drift else None
