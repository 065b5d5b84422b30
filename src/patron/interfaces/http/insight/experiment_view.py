"""One experiment: what was kept, or before its end what measuring it says, and every day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from pydantic import Field

from patron.answers.insight import experiments
from patron.answers.insight.experiment_line import Kind
from patron.answers.insight.experiments import ExperimentDetail
from patron.commands.outreach.campaigns.effect_by_day import DayEffect, effect_by_day
from patron.commands.outreach.campaigns.measure_campaign import campaign_result
from patron.commands.outreach.journeys.measure_journey import journey_result
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import BadCampaign, BadJourney
from patron.storage.outreach.versioned_drafts import MEASURED
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.shop import Shop

ExperimentName = Annotated[str, Field(max_length=100, description="Name of the campaign or journey.")]


@dataclass(frozen=True)
class ExperimentView:
    """One experiment, and how its effect grew."""

    detail: ExperimentDetail
    days: tuple[DayEffect, ...]


@operation(Right(Action.READ, Area.EXPERIMENTS), "GET /api/experiments/{kind}/{name}")
def show_experiment(cache: AnswerCache, kind: Kind, name: ExperimentName, *, now: datetime) -> ExperimentView:
    """One experiment: adjusted and raw effect with intervals, guard-rails, arms, and how the effect grew."""
    shop = cache.shop
    detail = experiments.show_experiment(shop, kind, name)
    if kind in {"offers", "tasks"}:
        return ExperimentView(detail, ())
    if detail.line.state != MEASURED:
        so_far = cache.cached_per_customer(("result so far", kind, name), lambda: _so_far(shop, kind, name, now))
        detail = experiments.show_experiment(shop, kind, name, so_far=so_far)
    of_day = ("effect by day", kind, name)
    days = cache.cached_per_customer(of_day, lambda: effect_by_day(shop, cast("Any", kind), name))
    return ExperimentView(detail, days)


def _so_far(shop: Shop, kind: str, name: str, now: datetime) -> Mapping[str, Any] | None:
    measure = campaign_result if kind == "campaign" else journey_result
    try:
        return msgspec.to_builtins(measure(shop, name, now=now))
    except (BadCampaign, BadJourney):
        return None  # why: nothing was sent yet, or nobody has entered
