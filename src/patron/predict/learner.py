"""What a learner is: frozen settings that `fit` a table, and a fitted thing that predicts, explains and is saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
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

    def predict(self, table: Any) -> pa.Table:
        """Forecast for each row of `table`, an Arrow table; for `recommend` also a `PurchaseHistory`."""
        ...

    def save(self, folder: Path) -> None:
        """Write into an existing, empty folder, in native formats only (LightGBM text, npz, JSON; never pickle)."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; predictions are the same to the last bit."""
        ...


class Learner(Protocol):
    """A frozen dataclass of settings, which may be other learners; the learner is its configuration."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    """Shown in backtests and cards; unique within the question."""
    is_baseline: ClassVar[bool]
    """Whether it is a rule that the others are judged by, and champion only where a question has no default."""
    complexity: ClassVar[int]
    """0 the simplest; where the champion cannot be fitted, the simplest learner that can is used."""
    exemptions: ClassVar[Mapping[str, str]]
    """Conformance checks this learner is excused from, each with its reason."""
    fitted: ClassVar[type]
    """The class whose `load` reads what this learner's fitted form saved."""

    def fit(self, table: pa.Table) -> Fitted:
        """Learn from customer_id, as_of, features and `label`. Raises NotEnoughData.

        Several cutoffs of one customer may be in the table. A label is NULL where it was not known yet at the origin:
        the origin's own rows are there, unlabelled, for learners that need no label (Pareto/NBD).
        """
        ...


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


class Total(Protocol):
    """A forecast of all customers together, with an 80 % interval, cents."""

    @property
    def cents(self) -> float:
        """The forecast."""
        ...

    @property
    def low_cents(self) -> float:
        """The lower end."""
        ...

    @property
    def high_cents(self) -> float:
        """The upper end."""
        ...

    @property
    def season(self) -> float:
        """Factor of the time to come against the year's mean."""
        ...

    @property
    def is_season_observed(self) -> bool:
        """Whether the shop has shown it."""
        ...

    @property
    def season_spread(self) -> float:
        """Standard deviation of the factor's logarithm."""
        ...


@runtime_checkable
class AddsUp(Protocol):
    """A fitted learner whose forecasts add up to one of the shop."""

    @property
    def adds_up_to(self) -> Total:
        """The shop's total."""
        ...


def reasons(names: tuple[str, ...], contributions: Numbers, count: int = REASON_COUNT) -> list[list[str]]:
    """Name the features that moved each forecast most, signed: `-days_since_last_order` lowered it."""
    top = _largest(np.abs(contributions), min(count, len(names)))
    chosen = np.take_along_axis(contributions, top, axis=1)
    return [
        [f"{'+' if size > 0 else '-'}{names[at]}" for at, size in zip(where, sizes, strict=True) if size != 0]
        for where, sizes in zip(top.tolist(), chosen.tolist(), strict=True)
    ]


def _largest(sizes: Numbers, count: int) -> npt.NDArray[np.int64]:
    """Places of the largest sizes of each row, the largest first; of equal ones the first. The sizes are used up."""
    # why not sort: three of a hundred are wanted, for every customer
    top = np.empty((len(sizes), count), dtype=np.int64)
    for rank in range(count):
        top[:, rank] = np.argmax(sizes, axis=1)
        np.put_along_axis(sizes, top[:, rank : rank + 1], -1.0, axis=1)
    return top


def forecasts(values: Numbers) -> pa.Table:
    """Wrap forecasts, one per given row, as the table that `predict` returns."""
    return pa.table({FORECAST: pa.array(np.asarray(values, dtype=np.float64))})


def labelled(table: pa.Table, *, fewest: int = FEWEST_LABELS) -> pa.Table:
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
