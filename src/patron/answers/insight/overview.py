"""The shop at a glance: what a manager wants to know first."""

from dataclasses import dataclass, replace
from datetime import datetime

from patron.answers.customers.category_needs import CategoryForecast, category_forecasts
from patron.answers.customers.watch_list import CustomerAtRisk, WatchListTotal, watch_list, watch_list_total
from patron.answers.data.later_refunds import later_refunds
from patron.answers.insight.revenue import KeyFigure, Window, key_figures, windows
from patron.answers.offers.offer_results import (
    AssignmentAlarm,
    DecisionSummary,
    Effect,
    assignment_alarms,
    decision_summary,
    effects,
)
from patron.answers.segments.segments_overview import (
    LifecycleStage,
    Persona,
    ValueSpread,
    lifecycle_stages,
    personas,
    value_spread,
)
from patron.answers.segments.stage_values import StageValue, stage_values
from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.data.refunds import LaterRefunds
from patron.storage.models.missing_forecasts import MissingForecast, missing_forecasts
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot


@dataclass(frozen=True)
class Overview:
    """Key figures, trend, people, risk and decisions of the last run."""

    shop_name: str
    currency: str
    time_zone: str
    run_id: str
    as_of: datetime
    key_figures: tuple[KeyFigure, ...]
    weeks: tuple[Window, ...]
    lifecycle_stages: tuple[LifecycleStage, ...]
    stage_values: tuple[StageValue, ...]
    category_forecasts: tuple[CategoryForecast, ...]
    """The categories with the most expected spend of the next 90 days."""
    personas: tuple[Persona, ...]
    value: ValueSpread
    watch_list: tuple[CustomerAtRisk, ...]
    """The first of it, the most value at risk first."""
    watch_list_total: WatchListTotal
    decisions: DecisionSummary
    effects: tuple[Effect, ...]
    offer_names: dict[str, str]
    later_refunds: LaterRefunds | None = None
    """Refunds that became known only after the run's cutoff, and do not count."""
    missing_forecasts: tuple[MissingForecast, ...] = ()
    """What this run has too little history for."""
    assignment_alarms: tuple[AssignmentAlarm, ...] = ()
    """Why effects must not be trusted, if so."""


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/overview")
def show_overview(cache: AnswerCache, *, visible: VisibleCustomers | None = None) -> Overview:
    """Key figures, trend, people, risk and decisions of the last run."""
    facts = cache.cached("overview", lambda: overview(cache.shop))
    if visible is None:
        return facts
    # why not the total: figures are of the whole shop for every reader, lists of the customers whom they see
    name = ("watch list", visible)
    listed = cache.cached_per_customer(name, lambda: watch_list(last_run(cache.shop), only=visible.rows))
    return replace(facts, watch_list=listed)


def overview(shop: Shop) -> Overview:
    """Overview of the last finished run. Raises NoRunYet."""
    return overview_of(last_run(shop))


def overview_of(view: Snapshot) -> Overview:
    """Overview of one run."""
    shop = view.settings.shop
    return Overview(
        shop_name=shop.name,
        currency=shop.currency,
        time_zone=shop.time_zone,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        key_figures=key_figures(view),
        weeks=windows(view, days=7, count=52),
        lifecycle_stages=lifecycle_stages(view),
        stage_values=stage_values(view),
        category_forecasts=category_forecasts(view),
        personas=personas(view),
        value=value_spread(view),
        watch_list=watch_list(view),
        watch_list_total=watch_list_total(view),
        decisions=decision_summary(view),
        effects=effects(view),
        later_refunds=later_refunds(view),
        offer_names=view.policy.offer_names,
        missing_forecasts=missing_forecasts(view),
        assignment_alarms=assignment_alarms(view),
    )
