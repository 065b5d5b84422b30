"""What a learner is: frozen settings that `fit` a table, and a fitted thing that predicts, explains and is saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

KEYS = ("customer_id", "as_of")
LABEL = "label"
FORECAST = "forecast"
REASON_COUNT = 3
FEWEST_LABELS = 50


class Fitted(Protocol):
    """A fitted learner. One = many: a row's forecast depends on that row alone.

    For questions about a number, `predict` gives one row per given row, in the given order, with `forecast` (finite,
    in the question's unit). For `recommend` it gives several rows per customer: rank, product_id, score, reason.
    """

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast for each row of `table`."""
        ...

    def save(self, folder: Path) -> None:
        """Write into an existing, empty folder, in native formats only (LightGBM text, npz, JSON; never pickle)."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; predictions are the same to the last bit."""
        ...


class Learner(Protocol):
    """A frozen dataclass of settings, all with defaults; the learner is its configuration."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    """Shown in backtests and cards; unique within the question."""
    is_baseline: ClassVar[bool]
    """A baseline: judged, compared with, champion only when no learner beats it."""
    complexity: ClassVar[int]
    """0 the simplest; when the backtest cannot run, the simplest learner that is not a baseline is used."""
    exemptions: ClassVar[Mapping[str, str]]
    """Conformance checks this learner is excused from, each with its reason."""
    fitted: ClassVar[type]
    """The class whose `load` reads what this learner's fitted form saved."""

    def fit(self, table: pa.Table) -> Fitted:
        """Learn from customer_id, as_of, features and `label`. Raises NotEnoughData.

        Several cutoffs of one customer may be in the table. A label is NULL where it was not known yet at the origin:
        the origin's own rows are there, unlabelled, for learners that need no label (BG/NBD).
        """
        ...


class Explains(Protocol):
    """A fitted learner that can say what moved each forecast."""

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Feature names, and one row of signed contributions per given row (log-odds, or the question's unit)."""
        ...


def reasons(names: tuple[str, ...], contributions: Numbers, count: int = REASON_COUNT) -> list[list[str]]:
    """Name the features that moved each forecast most, signed: `-days_since_last_order` lowered it."""
    top = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(contributions, top, axis=1)
    return [
        [f"{'+' if size > 0 else '-'}{names[at]}" for at, size in zip(where, sizes, strict=True) if size != 0]
        for where, sizes in zip(top.tolist(), chosen.tolist(), strict=True)
    ]


def forecasts(values: Numbers) -> pa.Table:
    """Wrap forecasts, one per given row, as the table that `predict` returns."""
    return pa.table({FORECAST: pa.array(np.asarray(values, dtype=np.float64))})


def labelled(table: pa.Table, *, fewest: int = FEWEST_LABELS) -> pa.Table:
    """The rows whose label is known. Raises NotEnoughData with fewer than `fewest`."""
    rows = table.filter(pc.is_valid(table[LABEL]))
    if rows.num_rows < fewest:
        raise NotEnoughData(
            f"{rows.num_rows} customers whose outcome is known, {fewest} are needed",
            where="training",
            todo="Import a longer history, or run at a later cutoff.",
        )
    return rows


def newest(table: pa.Table) -> pa.Table:
    """The rows of the latest cutoff, labelled or not: the customers as they are known at the origin."""
    return table.filter(pc.equal(table["as_of"], pc.max(table["as_of"])))
