"""What every learner is, and what some can do besides: frozen settings that `fit` rows; what is fitted predicts."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

LABEL, FORECAST = "label", "forecast"
MIN_LABELS = 50
IS_BASELINE: Mapping[str, str] = {"beats its baseline": "it is a baseline"}


class Predictor(Protocol):
    """What forecasts. One = many: a row's forecast depends on that row alone."""

    def predict(self, rows: Any, /) -> Any:
        """Forecast for each row; of a table in a column `forecast`, finite, in the question's unit."""
        ...


class Fitted(Predictor, Protocol):
    """A fitted learner that can be kept."""

    def save(self, folder: Path) -> None:
        """Write into an existing, empty folder, in native formats only (LightGBM text, npz, JSON; never pickle)."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; predictions are the same to the last bit."""
        ...


class Learner(Protocol):
    """A frozen dataclass of settings, which may be other learners; the learner is its configuration."""

    name: ClassVar[str]
    """Shown in backtests and cards; unique within the question."""
    complexity: ClassVar[int] = 0
    """0 the simplest; of learners that are as good, and where the champion cannot be fitted, the simplest is used."""
    fitted: ClassVar[type] = object
    """The class whose `load` reads what this learner's fitted form saved; `object` where nothing is kept."""
    is_baseline: ClassVar[bool] = False
    """Whether it is a rule that the others are judged by."""
    module: ClassVar[str] = ""
    """Module that fitting needs and an extra installs, or ''; what is fitted predicts without it."""
    max_labels: ClassVar[int] = 0
    """Most labelled rows with which it is a candidate; 0: any number."""
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Conformance checks this learner is excused from, each with its reason."""

    def fit(self, *rows: Any, **roles: Any) -> Any:
        """Learn from rows; each library says which, and which keywords name their roles. Raises NotEnoughData.

        Of tables with `label`: several cutoffs of one customer may be in it, and a label is NULL where it was not known
        yet at the origin. The origin's own rows are there, unlabelled, for learners that need no label (Pareto/NBD).
        """
        ...


class Baseline(Learner, Protocol):
    """A rule by which anybody could forecast: what other learners have to beat."""

    is_baseline: ClassVar[bool] = True
    exemptions: ClassVar[Mapping[str, str]] = IS_BASELINE


@runtime_checkable
class FitsFromOthers(Protocol):
    """A learner that builds on others of its question."""

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> Fitted:
        """As `fit`, with learners that are fitted to this table already, by name. Raises NotEnoughData."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A fitted learner that knows what moved each forecast."""

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """Feature names, and one row of signed contributions per given row (log-odds, or the question's unit)."""
        ...


def installed_learners(learners: Iterable[Learner]) -> tuple[Learner, ...]:
    """The learners that need no extra, or one that is installed."""
    return tuple(learner for learner in learners if not learner.module or find_spec(learner.module))


def forecasts(values: Numbers) -> pa.Table:
    """Wrap forecasts, one per given row, as the table that `predict` returns."""
    return pa.table({FORECAST: pa.array(np.asarray(values, dtype=np.float64))})


def labelled(table: pa.Table, *, fewest: int = MIN_LABELS) -> pa.Table:
    """The rows whose label is known. Raises NotEnoughData with fewer than `fewest`."""
    rows = rows_where(table, pc.is_valid(table[LABEL]))
    if rows.num_rows < fewest:
        raise NotEnoughData(
            f"{rows.num_rows} customers whose outcome is known, {fewest} are needed",
            where="training",
            todo="Import a longer history, or run at a later cutoff.",
        )
    return rows


def newest(table: pa.Table) -> pa.Table:
    """The rows of the latest cutoff, labelled or not: the customers as they are known at the origin."""
    return rows_where(table, pc.equal(table["as_of"], pc.max(table["as_of"])))


def rows_where(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The rows of a mask, in their order; rows that are neighbours are not copied, and tables are wide here."""
    at = np.flatnonzero(mask)
    are_neighbours = len(at) > 0 and at[-1] - at[0] + 1 == len(at)
    return table.slice(at[0], len(at)) if are_neighbours else table.filter(mask)
