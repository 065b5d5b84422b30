"""What lists are chosen from: relevant products of each customer, and what each of them did with products."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from patron.recommenders.ids import Codes
from patron.recommenders.lists.kernel_arrays import kernel_array
from patron.schema.errors import BadListInput
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class ListCandidates:
    """Pairs of a row (one customer's list) and a product, in order of rows; of equal pairs the most relevant counts."""

    row: Codes
    item: Codes
    """Number of the product in the facts."""
    relevance: Numbers
    """How well it fits, 0 to 1."""
    rows: int
    """How many lists; a row can be without candidates."""

    def __post_init__(self) -> None:
        """Bring the arrays into one kind. Raises BadListInput."""
        if isinstance(self.rows, bool) or not isinstance(self.rows, Integral) or self.rows < 0:
            raise _bad(f"rows is {self.rows!r}", "Pass how many lists are needed.", "candidates")
        for name, kind in (("row", np.int64), ("item", np.int64), ("relevance", np.float64)):
            object.__setattr__(self, name, _plain(getattr(self, name), kind, name, "candidates"))
        if not len(self.row) == len(self.item) == len(self.relevance):
            what = f"there are {len(self.row)} rows, {len(self.item)} items and {len(self.relevance)} relevances"
            raise _bad(what, "Pass one of each per candidate.", "candidates")
        if len(self.row) and not (self.row[0] >= 0 and self.row[-1] < self.rows and (np.diff(self.row) >= 0).all()):
            raise _bad(f"rows are not sorted, or not from 0 to {self.rows - 1}", "Sort them by row.", "candidates")
        if len(self.row) and not (self.relevance.min() >= 0 and self.relevance.max() <= 1):  # NaN is neither
            raise _bad("relevance is not from 0 to 1", "Scale scores to 0 to 1, and leave out NaN.", "candidates")


@dataclass(frozen=True, eq=False)
class ItemsByRow:
    """Products of each row: those of row i stand from starts[i] to starts[i + 1]."""

    starts: Codes
    items: Codes
    """Number of the product in the facts; -1 is one that is not in the catalogue."""
    days: Numbers
    """Days since it happened, 0 or more; infinite where it is long ago."""

    def __post_init__(self) -> None:
        """Bring the arrays into one kind. Raises BadListInput."""
        for name, kind in (("starts", np.int64), ("items", np.int64), ("days", np.float64)):
            object.__setattr__(self, name, _plain(getattr(self, name), kind, name, "shopper"))
        starts = self.starts
        if not len(starts) or starts[0] != 0 or starts[-1] != len(self.items) or (np.diff(starts) < 0).any():
            raise _bad("starts do not go from 0 to the number of items", "Pass rows + 1 rising places.", "shopper")
        if len(self.days) != len(self.items):
            what = f"there are {len(self.items)} items and {len(self.days)} days"
            raise _bad(what, "Pass one of each.", "shopper")
        if len(self.days) and not self.days.min() >= 0:  # NaN is neither
            raise _bad("days are below 0 or NaN", "Pass days before the list is shown.", "shopper")

    @classmethod
    def of(cls, rows: int, row: npt.ArrayLike, items: npt.ArrayLike, days: npt.ArrayLike | None = None) -> Self:
        """Bring pairs of a row and a product into order; without days all of them are new. Raises BadListInput."""
        of_pair = _plain(row, np.int64, "row", "shopper")
        places = _plain(items, np.int64, "items", "shopper")
        since = np.zeros(len(places)) if days is None else _plain(days, np.float64, "days", "shopper")
        if not len(of_pair) == len(places) == len(since):
            what = f"there are {len(of_pair)} rows, {len(places)} items and {len(since)} days"
            raise _bad(what, "Pass one of each.", "shopper")
        if len(of_pair) and not (of_pair.min() >= 0 and of_pair.max() < rows):
            raise _bad(f"a row is not from 0 to {rows - 1}", "Number rows as candidates are.", "shopper")
        order = np.argsort(of_pair, kind="stable")
        starts = np.append(0, np.cumsum(np.bincount(of_pair, minlength=rows)))
        return cls(starts, places[order], since[order])

    @classmethod
    def none(cls, rows: int) -> Self:
        """No product in any row."""
        return cls(np.zeros(rows + 1, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.starts) - 1


@dataclass(frozen=True, eq=False)
class ShopperFacts:
    """What the customer of each row did with products; None is nothing. It holds for all variants of a product."""

    bought: ItemsByRow | None = None
    returned: ItemsByRow | None = None
    hidden: ItemsByRow | None = None
    """What the customer does not want to see."""
    on_page: ItemsByRow | None = None
    """What the page shows, or the cart holds."""
    not_with_page: ItemsByRow | None = None
    """What is not shown next to that."""


def _plain(values: Any, kind: type, name: str, where: str) -> npt.NDArray[Any]:
    """An array of one dimension that a kernel takes. Raises BadListInput."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in ("iu" if kind is np.int64 else "iuf") and array.size):
        what = f"{name} is of type {array.dtype} and has {array.ndim} dimensions"
        raise _bad(what, f"Pass one column of {'whole ' if kind is np.int64 else ''}numbers.", where)
    return kernel_array(array, kind)


def _bad(what: str, todo: str, where: str) -> BadListInput:
    return BadListInput(what, where=where, todo=todo)
