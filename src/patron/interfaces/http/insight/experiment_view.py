"""An experiment for the page and its twin: what was kept, or before its end what measuring it says, and every day."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import msgspec

from patron.answers.insight.experiment_line import KINDS, Kind
from patron.answers.insight.experiments import (
    ExperimentDetail,
    ExperimentList,
    list_experiments,
    show_experiment,
)
from patron.commands.outreach.campaigns.effect_by_day import DayEffect, effect_by_day
from patron.commands.outreach.campaigns.measure_campaign import campaign_result
from patron.commands.outreach.journeys.measure_journey import journey_result
from patron.interfaces.http.answer_cache import Answers
from patron.schema.errors import BadCampaign, BadJourney, NotFound
from patron.schema.sentences import Sentence
from patron.storage.outreach.versioned_drafts import MEASURED

NO_EXPERIMENT_KIND = Sentence("no_experiment_kind", "no kind of experiment {name!r}")
KINDS_ARE = Sentence("kinds_are", "Kinds are {names}.")

PARAMETERS = ("year", "kind", "verdict")


@dataclass(frozen=True)
class ExperimentView:
    """One experiment, and how its effect grew."""

    detail: ExperimentDetail
    days: tuple[DayEffect, ...]


def experiments_of(answers: Answers, *, year: int | None, kind: str = "", verdict: str = "") -> ExperimentList:
    """Experiments of the shop, of one kind or verdict; the summary counts all of the year. Raises NoRunYet."""
    listing = list_experiments(answers.shop, year=year)
    rows = tuple(row for row in listing.rows if kind in {"", row.kind} and verdict in {"", row.verdict})
    return replace(listing, rows=rows)


def experiment_of(answers: Answers, kind: str, name: str, *, now: datetime) -> ExperimentView:
    """One experiment. Raises NotFound, NoRunYet."""
    if kind not in KINDS:
        raise NotFound(NO_EXPERIMENT_KIND(name=kind), where="kind", todo=KINDS_ARE(names=", ".join(KINDS)))
    known = cast("Kind", kind)
    detail = show_experiment(answers.shop, known, name)
    if kind in {"offers", "tasks"}:
        return ExperimentView(detail, ())
    if detail.line.state != MEASURED:
        so_far = answers.cached_per_customer(("result so far", kind, name), lambda: _so_far(answers, kind, name, now))
        detail = show_experiment(answers.shop, known, name, so_far=so_far)
    days = answers.cached_per_customer(
        ("effect by day", kind, name), lambda: effect_by_day(answers.shop, cast("Any", kind), name)
    )
    return ExperimentView(detail, days)


def _so_far(answers: Answers, kind: str, name: str, now: datetime) -> Mapping[str, Any] | None:
    measure = campaign_result if kind == "campaign" else journey_result
    try:
        return msgspec.to_builtins(measure(answers.shop, name, now=now))
    except (BadCampaign, BadJourney):
        return None  # why: nothing was sent yet, or nobody has entered
