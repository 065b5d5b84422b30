"""Products of each row, such as those bought together with a product: rows of different lengths, read one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ProductRows:
    """Products and what is known of each, row by row; within a row by the first value, highest first."""

    starts: Codes
    product: Places
    values: Mapping[str, Floats]

    @classmethod
    def of(cls, row: Codes, product: Codes, row_count: int, **values: Numbers) -> Self:
        """Group products by row; those that are not known (-1), of rows that are not known, are left out."""
        is_known = (row >= 0) & (product >= 0)
        row, product = row[is_known], product[is_known]
        known = {name: np.asarray(one, dtype=np.float32)[is_known] for name, one in values.items()}
        order = np.lexsort((product, -next(iter(known.values())), row))
        starts = np.append(0, np.cumsum(np.bincount(row, minlength=row_count))).astype(np.int64)
        return cls(starts, product[order].astype(np.int32), {name: one[order] for name, one in known.items()})

    @classmethod
    def empty(cls, row_count: int, *names: str) -> Self:
        """Rows without a product."""
        nothing = np.empty(0, np.int64)
        return cls.of(nothing, nothing, row_count, **{name: np.empty(0) for name in names})

    def row(self, row: int) -> Places:
        """Products of a row; none of one that is not known (-1)."""
        return self.product[self._span(row)]

    def value(self, name: str, row: int) -> Floats:
        """One value of each product of a row."""
        return self.values[name][self._span(row)]

    def _span(self, row: int) -> slice:
        return slice(self.starts[row], self.starts[row + 1]) if row >= 0 else slice(0, 0)
