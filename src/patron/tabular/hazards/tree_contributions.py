"""Exact Shapley values of small trees, from tables: a row's way through all splits of a tree is one number.

A tree of 8 leaves has 7 splits, so a row is one of 128 cases, and the values of each case are worked out once. They are
those of TreeSHAP (Lundberg and others 2020), which LightGBM works out again for every row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers
from patron.tabular.workers import map_in_threads

if TYPE_CHECKING:
    import lightgbm as lgb

MAX_SPLITS = 11
"""Of a tree with more, tables would be too large."""
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, eq=False)
class Split:
    """Rows whose value is not above the threshold go left."""

    column: int
    threshold: float
    is_missing_left: bool

    def goes_left(self, values: Numbers) -> Any:
        """Whether each row goes left."""
        goes = values <= self.threshold
        return goes | np.isnan(values) if self.is_missing_left else goes


@dataclass(frozen=True, eq=False)
class TreeTable:
    """The splits of a tree, and what each of their columns contributes in each case."""

    splits: tuple[Split, ...]
    columns: tuple[int, ...]
    by_case: Numbers
    """A row a case (bit k: the row goes left at split k), a column each of `columns`."""
    mean: float
    """Of all rows that the tree was grown on."""

    def add_to(self, parts: Numbers, matrix: Numbers) -> None:
        """Add the contributions of some rows to what there is; `parts` has a line a column."""
        if not self.splits:
            return
        case = np.zeros(matrix.shape[1], dtype=np.intp)
        for bit, split in enumerate(self.splits):
            case |= split.goes_left(matrix[split.column]).astype(np.intp) << bit
        for at, column in enumerate(self.columns):
            parts[column] += self.by_case[case, at]


def tree_tables(booster: "lgb.Booster") -> tuple[TreeTable, ...] | None:
    """A table for each tree; nothing where a tree is too large."""
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    if any(len(list(_splits(tree))) > MAX_SPLITS for tree in trees):
        return None
    return tuple(_table(tree) for tree in trees)


def contributions(tables: tuple[TreeTable, ...], matrix: npt.NDArray[Any]) -> tuple[Numbers, float]:
    """What each column adds to the sum of the trees, row by row, and the mean that they start from."""
    parts = np.zeros(matrix.shape)

    def fill(start: int) -> None:
        some = slice(start, start + ROWS_AT_ONCE)
        # Columns lie together: each split reads one of them.
        turned = np.ascontiguousarray(matrix[some].T, dtype=np.float64)
        sums = np.zeros(turned.shape)
        for table in tables:
            table.add_to(sums, turned)
        parts[some] = sums.T

    map_in_threads(fill, range(0, len(matrix), ROWS_AT_ONCE))
    return parts, sum(table.mean for table in tables)


def _splits(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "split_index" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _table(tree: Mapping[str, Any]) -> TreeTable:
    nodes = list(_splits(tree))
    bits = {node["split_index"]: bit for bit, node in enumerate(nodes)}
    columns = tuple(sorted({node["split_feature"] for node in nodes}))
    cases = np.arange(2 ** len(nodes))
    values = np.zeros((len(cases), len(columns)))
    mean = 0.0
    for leaf, path in _paths(tree, ()):
        follows: dict[int, Any] = {}
        shares: dict[int, float] = {}
        for node, is_left in path:
            column, child = node["split_feature"], node["left_child" if is_left else "right_child"]
            is_on_path = ((cases >> bits[node["split_index"]]) & 1) == is_left
            follows[column] = follows.get(column, True) & is_on_path
            shares[column] = shares.get(column, 1.0) * _count(child) / _count(node)
        for column, value in _shapley(follows, shares, leaf).items():
            values[:, columns.index(column)] += value
        mean += leaf * float(np.prod(list(shares.values())))
    return TreeTable(tuple(_split(node) for node in nodes), columns, values, mean)


def _paths(node: Mapping[str, Any], path: tuple[Any, ...]) -> Iterator[tuple[float, tuple[Any, ...]]]:
    if "split_index" not in node:
        yield float(node["leaf_value"]), path
        return
    yield from _paths(node["left_child"], (*path, (node, True)))
    yield from _paths(node["right_child"], (*path, (node, False)))


def _shapley(follows: Mapping[int, Any], shares: Mapping[int, float], leaf: float) -> dict[int, Numbers]:
    """Of one leaf: a known column lets a row reach it or not, an unknown one lets its share of rows reach it."""
    count = len(follows)
    values = {}
    for column in follows:
        # by_size[s]: summed over the sets of s other columns that are known, the share that reaches the leaf
        by_size: list[Any] = [1.0]
        for other in follows:
            if other != column:
                grown = [one * shares[other] for one in by_size] + [0.0]
                for size, one in enumerate(by_size):
                    grown[size + 1] = grown[size + 1] + one * follows[other]
                by_size = grown
        weights = [factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)]
        reach = sum(weight * one for weight, one in zip(weights, by_size, strict=True))
        values[column] = leaf * reach * (follows[column] - shares[column])
    return values


def _split(node: Mapping[str, Any]) -> Split:
    threshold = float(node["threshold"])
    is_known = node["missing_type"] == "NaN"
    # LightGBM takes a missing number as 0 where none was missing when it learned.
    return Split(node["split_feature"], threshold, bool(node["default_left"]) if is_known else threshold >= 0)


def _count(node: Mapping[str, Any]) -> int:
    return int(node["internal_count"] if "split_index" in node else node["leaf_count"])
