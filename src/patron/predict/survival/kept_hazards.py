"""The hazards of a run as a kept model, with its manifest, metrics and card."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from patron.predict.backtest import ALL
from patron.predict.model_card import card_text
from patron.predict.survival.hazard_backtest import LEARNERS, LIFE_TABLE, fit_learner
from patron.predict.survival.landmarks import FEATURES, Landmarks
from patron.schema.models.survival import PAUSE_DAYS, PERIOD_DAYS, SURVIVAL
from patron.schema.tables import SURVIVAL_BACKTESTS
from patron.storage.models import model_registry
from patron.storage.models.model_registry import Manifest
from patron.storage.runs.stage_view import StageView
from patron.tabular.hazards import FittedHazards

IDENTITY = ("key", "back", "periods", "left")
"""Columns by which the rows that were learned from are told apart from others."""
DESCRIPTIONS = {
    LIFE_TABLE: "Life table: the same hazards for everybody.",
    "hazard_trees": "Boosted trees on person-periods, added to the life table.",
    "hazard_logistic": "Logistic regression on person-periods.",
}


def fit_to_run(view: StageView, landmarks: Landmarks, learner: str) -> FittedHazards:
    """Fit a learner, or the life table, to all that is known by the run. Raises NotEnoughData."""
    return fit_learner(learner, landmarks.known_at(0), seed=seed_of(view))


def seed_of(view: StageView) -> int:
    """Seed of the run's hazards."""
    return view.run.child_seed(SURVIVAL)


def keep_hazards(view: StageView, landmarks: Landmarks, fitted: FittedHazards, backtests: pa.Table) -> str:
    """Save the hazards that curves are carried on by; `backtests` are rows of `survival_backtests`."""
    learner, rows = str(backtests["champion"][0]), landmarks.known_at(0)
    manifest = Manifest(
        question=SURVIVAL,
        version=view.run.run_id,
        learner=learner,
        settings=settings_of(learner),
        as_of=view.run.as_of.isoformat(),
        seed=view.run.seed,
        feature_version="none",
        table_versions={"orders": view.table_version("orders")},
        row_count=rows.num_rows,
        data_hash=model_registry.data_hash(rows, IDENTITY),
    )
    evaluated = [
        row | {"origin": ALL, "metric": f"{row['metric']} to {row['horizon_days']} days"}
        for row in backtests.to_pylist()
    ]
    metrics = {f"{ALL}/{row['metric']}": row["value"] for row in evaluated if row["learner"] == learner}
    card = _card(manifest, backtests, fitted)
    text = card_text(card, pa.Table.from_pylist(evaluated, schema=SURVIVAL_BACKTESTS.schema()))
    record = model_registry.ModelRecord(manifest, metrics, card, text)
    return model_registry.save(view.models_folder, view.declared_store, fitted, record)


def settings_of(learner: str) -> dict[str, Any]:
    """Settings of a learner by name; the life table has none."""
    return asdict(LEARNERS[learner]) if learner in LEARNERS else {}


def _card(manifest: Manifest, backtests: pa.Table, fitted: FittedHazards) -> dict[str, str]:
    """Card of the hazards; `card_of` writes those of questions."""
    is_baseline = manifest.learner == LIFE_TABLE
    card = {
        "question": (
            f"probability that a customer who orders in the next {PAUSE_DAYS} days leaves in each later period of "
            f"{PERIOD_DAYS} days"
        ),
        "unit": "probability",
        "learner": manifest.learner,
        "description": DESCRIPTIONS[manifest.learner],
        "settings": ", ".join(f"{name} = {value}" for name, value in manifest.settings.items()),
        "features": "" if is_baseline else ", ".join(FEATURES),
        "why": (
            "no learner is better than the life table beyond noise"
            if is_baseline
            else "the largest gain in log loss over the life table, beyond noise"
        ),
        "best_baseline": LIFE_TABLE,
        "cutoffs": str(backtests["origin"][0]),
        "training_rows": str(manifest.row_count),
        "person_periods": str(fitted.counts["person_periods"]),
        "training_until": manifest.as_of,
    }
    return {key: text for key, text in card.items() if text}
