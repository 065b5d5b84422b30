"""Training a question of any grain: backtest, fit the champion to all that is known, keep it with its manifest."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import LABEL, Fitted, Learner, installed_learners
from patron.predict.backtest import Backtest, backtest, fit_champion, to_table
from patron.predict.model_card import card_of, card_text, settings_of
from patron.predict.origins import Origin
from patron.predict.prediction_intervals import IntervalEnds
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import Target
from patron.storage.models import model_registry
from patron.storage.runs.stage_view import StageView


@dataclass(frozen=True)
class TrainedModel:
    """A question's champion, fitted to all that is known, and how it did in the backtest."""

    learner: Learner
    fitted: Fitted
    result: Backtest
    backtests: pa.Table
    """Rows of `backtests`."""
    rows: pa.Table
    """What it was fitted to, as a manifest names it."""
    slope: float = 1.0
    """Factor on its log-odds, learned from past cutoffs; 1 leaves them as they are."""


def train_model(
    view: StageView,
    question: Target,
    learners: tuple[Learner, ...],
    origins: Sequence[Origin],
    known: Any,
    *,
    history: str = "",
) -> TrainedModel:
    """Backtest, and fit the champion to all that is known: rows, or a `PurchaseHistory`. Raises NotEnoughData.

    With a `history`, the table that origins follow from, one origin at least must have been evaluated; without, a
    default learner may be used unproven. Learners for few labels are candidates where few are known now.
    """
    rng = np.random.default_rng(view.run.child_seed(f"backtest {question.name}"))
    result = backtest(question, candidates(learners, known), origins, rng=rng)
    if history and not result.origins:
        what = f"no past cutoff could be evaluated, as {result.unproven_because}"
        raise NotEnoughData(what, where=history, todo="Import or collect a longer history.")
    learner, fitted = fit_champion(result, known)
    return TrainedModel(
        learner, fitted, result=result, backtests=to_table(result, run_id=view.run.run_id, rng=rng), rows=known
    )


def candidates(learners: Sequence[Learner], known: Any) -> tuple[Learner, ...]:
    """Those whose extra is installed, without the learners for few labels where more are known."""
    return tuple(
        learner
        for learner in installed_learners(learners)
        if not 0 < learner.max_labels < known.num_rows - known[LABEL].null_count
    )


def keep(
    view: StageView,
    trained: TrainedModel,
    tables: Sequence[str],
    *,
    groups: pa.Table | None = None,
    intervals: IntervalEnds | None = None,
) -> str:
    """Save a champion, fitted to rows made of `tables`, with its manifest, metrics and card; its model_version."""
    learner = trained.learner
    rows = trained.rows
    backtests = trained.backtests
    has_features = "feature_version" in rows.column_names
    manifest = model_registry.Manifest(
        question=trained.result.question.name,
        version=view.run.run_id,
        learner=learner.name,
        settings=settings_of(learner),
        as_of=view.run.as_of.isoformat(),
        seed=view.run.seed,
        feature_version=str(rows["feature_version"][0].as_py()) if has_features else "none",
        table_versions={name: view.table_version(name) for name in tables},
        row_count=rows.num_rows,
        data_hash=model_registry.data_hash(rows),
        slope=trained.slope,
    )
    card = card_of(trained.result, learner, manifest, backtests)
    champion = backtests.filter(pc.equal(backtests["learner"], learner.name)).to_pylist()
    metrics = {f"{row['origin']}/{row['metric']}": row["value"] for row in champion}
    text = card_text(card, backtests, groups)
    record = model_registry.ModelRecord(manifest, metrics, card, text, asdict(intervals or IntervalEnds()))
    return model_registry.save(view.models_folder, view.declared_store, trained.fitted, record)
