"""Value from all features: boosted trees with a Tweedie loss, from scratch or on top of the buying history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from patron.clv.boosted_trees import FittedTrees, Trees
from patron.predict.feature_matrix import Design
from patron.predict.learner import LABEL, forecasts, labelled, newest
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json, write_json
from patron.schema.numbers import Numbers, float_column

SAVED = "value.json"
TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.3}
"""Between Poisson (1) and gamma (2): many zeros, a long tail; the mean stays the mean."""
LARGEST_LOG = 30.0
START_FLOOR = 0.1
"""Part of the mean forecast that everybody begins with, so that nobody starts at log(0)."""


@dataclass(frozen=True)
class FittedBoosted:
    """Trees over the features and what BG/NBD says; with a blend, they correct it by a factor."""

    design: Design
    models: OrdersAndSpend
    trees: FittedTrees
    scale_cents: float
    recent_share: float | None
    """Weight of the last 90 days in the forecast that the trees correct; None when they start from the mean."""
    adding_up: float
    """Factor by which forecasts add up to what was paid, of the rows the trees learned from."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        start = _start(table, self.models, self.recent_share, self.scale_cents)
        logs = np.clip(start + self.trees.raw(self._matrix(table)), -LARGEST_LOG, LARGEST_LOG)
        return forecasts(np.exp(logs) * self.scale_cents * self.adding_up)

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast; a blend's own size counts as one feature."""
        names, values = self.design.names, self.trees.contributions(self._matrix(table))
        if self.recent_share is None:
            return names, values
        start = _start(table, self.models, self.recent_share, self.scale_cents)
        return (*names, "expected_paid_cents_90_days"), np.column_stack([values, start])

    def save(self, folder: Path) -> None:
        """Write trees and parameters."""
        self.trees.save(folder)
        content = {
            "design": self.design.saved(),
            "models": self.models.saved(),
            "scale_cents": self.scale_cents,
            "recent_share": self.recent_share,
            "adding_up": self.adding_up,
        }
        write_json(folder / SAVED, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        saved = read_json(folder / SAVED)
        models = OrdersAndSpend.restored(saved["models"])
        design = Design.restored(saved["design"])
        return cls(
            design,
            models,
            FittedTrees.load(folder),
            *(saved[name] for name in ("scale_cents", "recent_share", "adding_up")),
        )

    def _matrix(self, table: pa.Table) -> Numbers:
        return self.design.matrix(with_history(table, self.models))


LATER = "Import what happened since, or run at an earlier cutoff."


@dataclass(frozen=True)
class Boosted:
    """LightGBM with a Tweedie loss on all features and on what BG/NBD and Gamma-Gamma expect, cents."""

    trees: Trees = field(default_factory=Trees)
    cap_quantile: float = 0.99
    """Labels above this quantile of buyers' count as its value: a few customers make most of the squared error."""

    name: ClassVar[str] = "boosted"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 4
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        return _fit(table, self.trees, self.cap_quantile, None)


@dataclass(frozen=True)
class BoostedBlend:
    """Trees that correct the blend of buying history and the last 90 days by a factor, cents.

    The factor keeps the forecast of the largest customers in proportion where capped labels could not follow.
    """

    trees: Trees = field(default_factory=lambda: Trees(rounds=80, learning_rate=0.04))
    recent_share: float = 0.3
    cap_quantile: float = 0.99

    name: ClassVar[str] = "boosted_blend"
    is_baseline: ClassVar[bool] = False
    complexity: ClassVar[int] = 3
    exemptions: ClassVar[Mapping[str, str]] = {}
    fitted: ClassVar[type] = FittedBoosted

    def fit(self, table: pa.Table) -> FittedBoosted:
        """Fit to the rows whose label is known. Raises NotEnoughData."""
        return _fit(table, self.trees, self.cap_quantile, self.recent_share)


def _fit(table: pa.Table, trees: Trees, cap_quantile: float, recent_share: float | None) -> FittedBoosted:
    rows, models = labelled(table), OrdersAndSpend.fit(newest(table))
    label = np.maximum(float_column(rows, LABEL), 0.0)
    cap = cap_of(label, cap_quantile)
    if cap <= 0:
        raise NotEnoughData("nobody bought anything after the cutoffs to learn from", where="training", todo=LATER)
    label = np.minimum(label, cap)
    scale = max(float(label.mean()), 1.0)
    given = with_history(rows, models)
    design = Design.of(given)
    start = _start(rows, models, recent_share, scale)
    objective = {**TWEEDIE, "boost_from_average": False}
    start = np.minimum(start, np.log(cap / scale))
    matrix = design.matrix(given)
    fitted = trees.fit(matrix, label / scale, objective, start=start)
    # why: the loss does not make forecasts add up to what was paid, least of all where few buy
    adding_up = float(label.mean() / scale / np.exp(start + fitted.raw(matrix)).mean())
    return FittedBoosted(design, models, fitted, scale, recent_share, adding_up)


def cap_of(label: Numbers, quantile: float) -> float:
    """A quantile of what those who bought paid, cents; 0 when nobody did.

    Of buyers alone: where one in a hundred buys, the same quantile of everybody would cut what all of them pay.
    """
    bought = label[label > 0]
    return float(np.quantile(bought, quantile)) if len(bought) else 0.0


def with_history(table: pa.Table, models: OrdersAndSpend) -> pa.Table:
    """Features with what the models of buying history say beside them."""
    for name, values in models.columns(table).items():
        table = table.append_column(name, pa.array(values))
    return table


def _start(table: pa.Table, models: OrdersAndSpend, recent_share: float | None, scale_cents: float) -> Numbers:
    """Logarithm of the forecast the trees begin with, in units of `scale_cents`."""
    if recent_share is None:
        return np.zeros(table.num_rows)
    return np.log(models.blend(table, recent_share) / scale_cents + START_FLOOR)
