"""The rows that models with all features learn from, as a matrix made once for several models."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.boosted_trees import BinnedMatrix
from patron.estimators.learner import LABEL, labelled, newest
from patron.predict.feature_matrix import Design
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

LATER = "Import what happened since, or run at an earlier cutoff."
MIN_BUYERS = 50


@dataclass(frozen=True)
class TrainingMatrix:
    """Labelled rows: features, what the models of buying history expect, and the label."""

    models: OrdersAndSpend | None
    """None for people without buying history."""
    rows: pa.Table
    """With the columns of `with_history`."""
    design: Design
    matrix: Numbers
    label: Numbers
    """What was paid, never below 0, cents."""

    @cached_property
    def binned(self) -> BinnedMatrix:
        """The matrix as trees take it."""
        return BinnedMatrix(self.matrix)

    @cached_property
    def buyers(self) -> npt.NDArray[np.intp]:
        """Rows of those who paid something. Raises NotEnoughData with too few to learn from."""
        places = np.flatnonzero(self.label > 0)
        if len(places) < MIN_BUYERS:
            what = f"{len(places)} bought after the cutoffs to learn from, and {MIN_BUYERS} are needed"
            raise NotEnoughData(what, where="training", todo=LATER)
        return places

    @classmethod
    def of(cls, table: pa.Table, models: OrdersAndSpend | None = None) -> Self:
        """Of the rows of `table` whose label is known; `models` are fitted to its newest cutoff, here if not given.

        Raises NotEnoughData.
        """
        rows = labelled(table)
        return cls.of_rows(rows, models or OrdersAndSpend.fit(newest(table)))

    @classmethod
    def of_rows(cls, rows: pa.Table, models: OrdersAndSpend | None) -> Self:
        """Of rows that all have a label."""
        label = np.maximum(float_column(rows, LABEL), 0.0)
        rows = rows if models is None else with_history(rows, models)
        design = Design.of(rows)
        return cls(models, rows, design, design.matrix(rows), label)


def with_history(table: pa.Table, models: OrdersAndSpend) -> pa.Table:
    """Features, and next to them what the models of buying history expect."""
    for name, values in models.columns(table).items():
        table = table.append_column(name, pa.array(values))
    return table


def cap_of(label: Numbers, quantile: float) -> float:
    """A quantile of what those who bought paid, cents; 0 when nobody did.

    Of buyers alone: where one in a hundred buys, the same quantile of everybody would cut what all of them pay.
    """
    bought = label[label > 0]
    return float(np.quantile(bought, quantile)) if len(bought) else 0.0
