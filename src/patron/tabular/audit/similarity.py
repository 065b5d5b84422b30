"""How much two rows have in common: a rare value that they share says more than a common one."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from patron.tabular.columns import Columns, Index

BLUR = 0.05
"""Numbers agree within this share of the column's standard deviation."""
PAIRS, MIN_PAIRS = 60_000, 50


def information(columns: Columns, rows: Index, rng: np.random.Generator, *, blur: float = BLUR) -> dict[str, float]:
    """Nats that agreement in a column is worth, given agreement in the column before it that says most of it.

    Minus the log of the share of random pairs that agree: of a column that repeats another nothing is left.
    """
    first, second = rng.choice(rows, PAIRS), rng.choice(rows, PAIRS)
    first, second = first[first != second], second[first != second]
    worth: dict[str, float] = {}
    before: list[npt.NDArray[np.bool_]] = []
    for name in columns.names:
        agrees = _agreements(columns, name, first, second, rows, blur)
        conditions = [one for one in before if one.sum() >= MIN_PAIRS]
        share = max([float(agrees.mean()), *(float(agrees[condition].mean()) for condition in conditions)])
        worth[name] = -np.log(max(share, 1 / PAIRS))
        before.append(agrees)
    return worth


def shared_information(
    columns: Columns, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], worth: Mapping[str, float], rows: Index
) -> npt.NDArray[np.float32]:
    """Share of the information of all columns that pairs of rows agree in; the two sides broadcast."""
    total = max(sum(worth.values()), 1e-9)
    shared: npt.NDArray[np.float32] = np.zeros(np.broadcast_shapes(first.shape, second.shape), dtype=np.float32)
    for name, nats in worth.items():
        shared += np.float32(nats / total) * _agreements(columns, name, first, second, rows)
    return shared


def _agreements(
    columns: Columns, name: str, first: Index, second: Index, rows: Index, blur: float = BLUR
) -> npt.NDArray[np.bool_]:
    if name in columns.texts:
        codes = columns.texts[name].codes
        return codes[first] == codes[second]
    values = columns.numbers[name]
    known = values[rows][~np.isnan(values[rows])]
    tolerance = blur * float(known.std()) if len(known) else 0.0
    one, other = values[first], values[second]
    return (np.abs(one - other) <= tolerance) | (np.isnan(one) & np.isnan(other))
