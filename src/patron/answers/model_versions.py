"""Models that were kept: every version of every question, which of them scores customers, and what people decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patron.answers.group_metrics import GroupMetric, group_metrics
from patron.schema.errors import LakeDamaged
from patron.schema.questions import QUESTION_BY_NAME, TARGETS
from patron.storage import model_registry
from patron.storage.last_run import last_run, records
from patron.storage.model_decisions import APPROVED, ModelDecision, active_pins, model_decisions
from patron.storage.model_history import find_model, kept_models
from patron.storage.shop import Shop, Snapshot

MEASURED = ("metric", "value", "low", "high", "baseline", "baseline_value")
"""Columns of a model that come from its run's backtest."""


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
    groups: tuple[GroupMetric, ...]
    """The champion of its run in groups of customers."""


def model_versions(shop: Shop) -> tuple[ModelVersion, ...]:
    """Models of completed runs by question, the newest first. Raises NoRunYet."""
    view = last_run(shop)
    in_use, measured, pins = _in_use(view), _primary_rows(view), active_pins(shop.store)
    approved = {one.model_version for one in model_decisions(shop.store) if one.decision == APPROVED}
    listed = []
    for kept in kept_models(shop.store):
        row, pin = measured.get((kept.question, kept.version), {}), pins.get(kept.question)
        listed.append(
            ModelVersion(
                model_version=kept.model_version,
                question=kept.question,
                version=kept.version,
                as_of=kept.as_of,
                learner=_learner(shop, kept.model_version),
                is_in_use=kept.version in in_use.get(kept.question, {view.run.run_id}),
                is_pinned=pin is not None and pin.model_version == kept.model_version,
                is_approved=kept.model_version in approved,
                **{name: row.get(name) for name in MEASURED},
            )
        )
    order = {target.name: place for place, target in enumerate(TARGETS)}
    return tuple(sorted(listed, key=lambda one: order.get(one.question, len(order))))


def model_detail(shop: Shop, name: str) -> ModelDetail:
    """The model of QUESTION/VERSION; of QUESTION the pinned or newest. Raises NoRunYet, NotFound, LakeDamaged."""
    kept = find_model(shop.store, name)
    model = next(one for one in model_versions(shop) if one.model_version == kept.model_version)
    models = shop.folder / "models"
    return ModelDetail(
        model,
        model_registry.card(models, shop.store, model.model_version),
        vars(model_registry.manifest(models, shop.store, model.model_version)),
        tuple(one for one in model_decisions(shop.store) if one.model_version == model.model_version),
        tuple(one for one in group_metrics(last_run(shop), model.version) if one.question == model.question),
    )


def _in_use(view: Snapshot) -> dict[str, set[str]]:
    """Versions that the last run scored with, of questions that are in `scores`; of others it is the last run's."""
    sql = f"select distinct model_version from scores where run_id = '{view.run.run_id}' order by model_version"
    versions: dict[str, set[str]] = {}
    for row in records(view.query(sql)):
        question, _, version = row["model_version"].partition("/")
        versions.setdefault(question, set()).add(version)
    return versions


def _primary_rows(view: Snapshot) -> dict[tuple[str, str], dict[str, Any]]:
    """The champion on the primary metric over all origins, by question and run."""
    sql = f"select question, run_id, {', '.join(MEASURED)} from backtests where origin = 'all' and learner = champion"
    primary = {name: target.primary_metric.name for name, target in QUESTION_BY_NAME.items()}
    return {
        (row["question"], row["run_id"]): row
        for row in records(view.query(sql))
        if row["metric"] == primary.get(row["question"])
    }


def _learner(shop: Shop, model_version: str) -> str | None:
    try:
        return model_registry.manifest(shop.folder / "models", shop.store, model_version).learner
    except LakeDamaged:
        return None
