"""Rows of a trial as arrays: which arm each customer was in, what came of it, and what was known before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.errors import BadTrial, NotEnoughData
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers
from patron.uplift.feature_encoding import as_floats

Codes = npt.NDArray[np.int64]
Kind = Literal["binary", "count", "money"]
MIN_ROWS = 20
"""Of each arm."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Arms and outcomes of customers, one row each."""

    arms: tuple[str, ...]
    """The control first, then the offers in order of name."""
    arm: Codes
    """Place in `arms`."""
    outcome: Numbers

    @classmethod
    def of(cls, arm: Any, outcome: Any, control: Any, arms: Sequence[str] | None = None) -> Self:
        """Read arrays. Raises BadTrial, NotEnoughData.

        Args:
            arm: Name of each row's arm, or a number.
            outcome: What came of it.
            control: The arm without an offer.
            arms: Names of a fit before; None: those of the rows.
        """
        names, values = arm_names(arm), _outcomes(outcome)
        if len(names) != len(values):
            raise BadTrial(f"{len(values):,} rows, and {len(names):,} arms", where="outcome")
        if not len(names):
            raise NotEnoughData("no customers", where="table", todo="Give the rows of a trial.")
        known = tuple(arms) if arms is not None else _arms(names, arm_name(control))
        places = {name: at for at, name in enumerate(known)}
        levels, inverse = np.unique(names, return_inverse=True)
        unknown = [str(level) for level in levels if level not in places]
        if unknown:
            what = f"{', '.join(unknown)} is not an arm of the fit, which had {', '.join(known)}"
            raise BadTrial(what, where="treatment", todo="Leave these rows out, or fit again with them.")
        return cls(known, np.array([places[level] for level in levels], dtype=np.int64)[inverse], values)

    @classmethod
    def of_table(
        cls, table: pa.Table, treatment: str, control: Any, outcome: str, arms: Sequence[str] | None = None
    ) -> Self:
        """Read two columns and check that an effect can be learned from them. Raises BadTrial, NotEnoughData."""
        trial = cls.of(column_of(table, treatment, "treatment"), column_of(table, outcome, "outcome"), control, arms)
        trial.refuse_unlearnable()
        return trial

    @property
    def offers(self) -> tuple[str, ...]:
        """Arms but the control."""
        return self.arms[1:]

    @property
    def shares(self) -> Numbers:
        """Share of the rows in each arm, 0 to 1."""
        return np.bincount(self.arm, minlength=len(self.arms)) / len(self.arm)

    @property
    def kind(self) -> Kind:
        """What outcomes are: 0 and 1, counts from 0 on, or any numbers."""
        if np.isin(self.outcome, (0.0, 1.0)).all():
            return "binary"
        return "count" if (self.outcome >= 0).all() and (self.outcome == np.floor(self.outcome)).all() else "money"

    def take(self, rows: npt.NDArray[Any]) -> "Trial":
        """Some of the rows, all arms."""
        return Trial(self.arms, self.arm[rows], self.outcome[rows])

    def refuse_unlearnable(self) -> None:
        """Raise NotEnoughData for arms of few rows or an outcome without variation; BadTrial where arms explain it."""
        counts = np.bincount(self.arm, minlength=len(self.arms))
        for name, count in zip(self.arms, counts, strict=True):
            if count < MIN_ROWS:
                what = f"arm {name} has {count} rows; {MIN_ROWS} are needed"
                raise NotEnoughData(what, where="treatment", todo="Leave the arm out, or wait for more customers.")
        if np.ptp(self.outcome) == 0:
            raise NotEnoughData(f"every outcome is {self.outcome[0]:g}", where="outcome", todo="Wait for outcomes.")
        if all(np.ptp(self.outcome[self.arm == at]) == 0 for at in range(len(self.arms))):
            what = "the arm alone explains the outcome: within each arm all outcomes are equal"
            raise BadTrial(what, where="outcome", todo="Take what customers did, not what they were sent.")


def as_table(table: Any) -> pa.Table:
    """Whatever speaks the Arrow C stream. Raises BadTrial for anything else."""
    try:
        return table_without_index(table)
    except TypeError as error:
        raise BadTrial(str(error), where="table") from error


def column_of(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    """A column. Raises BadTrial where there is none."""
    if name not in table.column_names:
        raise BadTrial(f"the table has no column {name}", where=where, todo=f"It has {', '.join(table.column_names)}.")
    return table[name]


def arm_name(value: Any) -> str:
    """An arm as text: True and 1.0 are "1"."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def arm_names(values: Any) -> npt.NDArray[np.str_]:
    """Arms as texts. Raises BadTrial for missing ones."""
    if isinstance(values, pa.ChunkedArray | pa.Array):
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        values = values.to_pylist() if values.null_count else values.to_numpy(zero_copy_only=False)
    array = np.asarray(values)
    if array.ndim != 1:
        raise BadTrial("one arm a row is needed", where="treatment")
    if array.dtype.kind in "US":
        return array.astype(np.str_)
    if array.dtype == object:
        missing = sum(1 for one in array if one is None or one != one)  # noqa: PLR0124 - NaN is not itself
    else:
        missing = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
    if missing:
        raise BadTrial(f"{missing:,} rows have no arm", where="treatment", todo="Leave them out.")
    if array.dtype == object:
        names = {one: arm_name(one) for one in set(array.tolist())}
        return np.array([names[one] for one in array.tolist()], dtype=np.str_)
    levels, inverse = np.unique(array, return_inverse=True)
    return (
        np.array([arm_name(level) for level in levels], dtype=np.str_)[inverse] if len(array) else np.array([], np.str_)
    )


def numbers_of(values: Any, where: str) -> Numbers:
    """Finite numbers, one a row. Raises BadTrial."""
    try:
        if isinstance(values, pa.ChunkedArray | pa.Array):
            chunks = [values] if isinstance(values, pa.Array) else values.chunks
            numbers = as_floats(pa.chunked_array(chunks, values.type), where)
        else:
            numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadTrial(f"not numbers: {error}", where=where) from error
    if numbers.ndim != 1:
        raise BadTrial(f"an array of {numbers.ndim} dimensions where one number a row is needed", where=where)
    missing = int((~np.isfinite(numbers)).sum())
    if missing:
        raise BadTrial(f"{missing:,} values are missing or infinite", where=where, todo="Leave these rows out.")
    return numbers


def feature_names(table: pa.Table, features: Iterable[str] | None, without: Iterable[str]) -> tuple[str, ...]:
    """Columns to learn from: those named, or all but treatment, outcome and propensity."""
    left_out = set(without)
    if features is None:
        return tuple(name for name in table.column_names if name not in left_out)
    names = tuple(features)
    wrong = [name for name in names if name in left_out]
    if wrong:
        what = f"{', '.join(wrong)} is the treatment, the outcome or the propensity"
        raise BadTrial(what, where="features", todo="Name only what was known before the offer.")
    return names


def _outcomes(outcome: Any) -> Numbers:
    return numbers_of(outcome, "outcome")


def _arms(names: npt.NDArray[np.str_], control: str) -> tuple[str, ...]:
    levels = [str(one) for one in np.unique(names)]
    if control not in levels:
        what = f"no row is in the control arm {control}; there are {', '.join(levels[:10])}"
        raise BadTrial(what, where="control", todo="Name the arm without an offer; an effect is a difference from it.")
    if len(levels) == 1:
        raise BadTrial(f"every row is in arm {control}", where="treatment", todo="Give rows with an offer as well.")
    return (control, *(level for level in levels if level != control))
