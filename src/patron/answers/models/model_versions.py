"""Models that were kept: every version of every question, which of them scores customers, and what people decided."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patron.answers.models.metrics_by_group import GroupRow, metrics_by_group
from patron.answers.models.survival import LIFE_TABLE
from patron.schema.errors import LakeDamaged
from patron.schema.models.questions import QUESTION_BY_NAME, TARGETS
from patron.schema.models.survival import SURVIVAL
from patron.storage.models import model_registry
from patron.storage.models.model_decisions import ModelDecision, active_pins, model_decisions
from patron.storage.models.model_history import KeptModel, approvals, find_model, kept_models
from patron.storage.models.trainings import read_trainings, version_in_use
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

MEASURED = ("metric", "value", "low", "high", "baseline", "baseline_value")
"""Columns of a model that come from its run's backtest."""
MAX_LISTED = 10
"""Models of each question that a list has, unless somebody wants more."""


@dataclass(frozen=True)
class ModelVersion:
    """One model of a completed run, with the backtest of that run."""

    model_version: str
    """The folder under models/: QUESTION/VERSION."""
    question: str
    version: str
    """The run that fitted it."""
    as_of: datetime
    learner: str | None
    """None when its manifest is damaged."""
    is_in_use: bool
    """Whether the last run scored customers with it, or a visit is scored with it now."""
    is_pinned: bool
    is_approved: bool
    metric: str | None
    """Primary metric of the question, over all past cutoffs of the backtest; None without a backtest."""
    value: float | None
    low: float | None
    high: float | None
    """Ends of the 95 % interval."""
    baseline: str | None
    baseline_value: float | None


@dataclass(frozen=True)
class ModelDetail:
    """One model with all that is kept next to it."""

    model: ModelVersion
    card: Mapping[str, str]
    manifest: Mapping[str, Any]
    decisions: tuple[ModelDecision, ...]
    """What people decided about this model, the oldest first."""
    groups: tuple[GroupRow, ...]
    """The champion of its run in groups of customers."""


def model_versions(shop: Shop, *, most: int = MAX_LISTED) -> tuple[ModelVersion, ...]:
    """The newest `most` models of each question, older ones in use or decided about. Raises NoRunYet."""
    models = kept_models(shop.store)
    places = Counter[str]()
    in_use, decided = _in_use(last_run(shop)), {decision.model_version for decision in model_decisions(shop.store)}
    chosen = []
    for kept in models:
        places[kept.question] += 1
        if places[kept.question] <= most or kept.model_version in in_use | decided:
            chosen.append(kept)
    order = {target.name: place for place, target in enumerate(TARGETS)}
    return tuple(sorted(_describe(shop, chosen), key=lambda one: order.get(one.question, len(order))))


def _describe(shop: Shop, models: Iterable[KeptModel]) -> list[ModelVersion]:
    view = last_run(shop)
    in_use, measured = _in_use(view), _primary_rows(view)
    pinned = {pin.model_version for pin in active_pins(shop.store).values()}
    approved = {approval.model_version for approval in approvals(shop.store)}
    return [
        ModelVersion(
            model_version=kept.model_version,
            question=kept.question,
            version=kept.version,
            as_of=kept.as_of,
            learner=_learner(shop, kept.model_version),
            is_in_use=kept.model_version in in_use,
            is_pinned=kept.model_version in pinned,
            is_approved=kept.model_version in approved,
            **{name: measured.get(kept.model_version, {}).get(name) for name in MEASURED},
        )
        for kept in models
    ]


def model_detail(shop: Shop, name: str) -> ModelDetail:
    """The model of QUESTION/VERSION; of QUESTION the pinned or newest. Raises NoRunYet, NotFound, LakeDamaged."""
    (model,) = _describe(shop, [find_model(shop.store, name)])
    models = shop.folder / "models"
    return ModelDetail(
        model,
        model_registry.card(models, shop.store, model.model_version),
        manifest=vars(model_registry.manifest(models, shop.store, model.model_version)),
        decisions=tuple(
            decision for decision in model_decisions(shop.store) if decision.model_version == model.model_version
        ),
        groups=tuple(
            metric for metric in metrics_by_group(last_run(shop), model.version) if metric.question == model.question
        ),
    )


def _in_use(view: Snapshot) -> set[str]:
    """Models that the last run scored with; of questions that are not in `scores`, and of hazards, its champions."""
    sql = "select distinct question, model_version from this_scores order by 1, 2"
    scored = records(view.query(sql))
    others = {*QUESTION_BY_NAME, SURVIVAL} - {row["question"] for row in scored}
    trainings = read_trainings(view, view.run.run_id)
    champions = {version_in_use(trainings, question, view.run.run_id) for question in others}
    return {row["model_version"] for row in scored} | champions


def _primary_rows(view: Snapshot) -> dict[str, dict[str, Any]]:
    """The champion on the primary metric over all origins, by model."""
    sql = f"select question, run_id, {', '.join(MEASURED)} from backtests where origin = 'all' and learner = champion"
    primary = {name: target.primary_metric.name for name, target in QUESTION_BY_NAME.items()}
    rows = records(view.query(sql))
    of_questions = (row for row in rows if row["metric"] == primary.get(row["question"]))
    sql = f"""
select '{SURVIVAL}' as question, b.run_id, b.metric, b.value, b.low, b.high, '{LIFE_TABLE}' as baseline,
  t.value as baseline_value
from survival_backtests b
join survival_backtests t on t.run_id = b.run_id and t.metric = b.metric and t.learner = '{LIFE_TABLE}'
where b.learner = b.champion and b.metric = 'log_loss'"""
    return {f"{row['question']}/{row['run_id']}": row for row in (*of_questions, *records(view.query(sql)))}


def _learner(shop: Shop, model_version: str) -> str | None:
    try:
        return model_registry.manifest(shop.folder / "models", shop.store, model_version).learner
    except LakeDamaged:
        return None
