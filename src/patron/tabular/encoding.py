"""Columns as one matrix: numbers as they are, 0/1 for each frequent level, the mean outcome where levels are many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.estimators.shrunken_rates import shrunk_means
from patron.schema.numbers import Numbers
from patron.tabular.columns import Columns, Index, TextColumn

MOST_LEVELS = 12
RAREST_LEVEL_SHARE = 0.01
MISSING = "(missing)"
PRIOR_ROWS = 20.0
"""How many rows the mean of all counts for, in the mean of a level."""
PARTS = 5
"""Parts of the training rows; a row's level mean comes from the other parts, never from its own outcome."""


@dataclass(frozen=True)
class LevelMeans:
    """Share of positives by level, shrunk."""

    means: Mapping[str, float]
    overall: float

    @classmethod
    def of(cls, text: TextColumn, label: Numbers) -> Self:
        """Average the outcomes of each level."""
        names = (*text.levels, MISSING)
        codes, overall = text.codes % len(names), float(label.mean())
        means = shrunk_means(codes, label, np.full(len(names), overall), PRIOR_ROWS)
        return cls({names[at]: float(means[at]) for at in np.unique(codes)}, overall)

    def of_rows(self, text: TextColumn) -> Numbers:
        """The mean of each row's level; the mean of all for an unknown one."""
        means = np.array([self.means.get(name, self.overall) for name in (*text.levels, MISSING)])
        return means[text.codes]


@dataclass(frozen=True)
class Encoding:
    """How columns become a matrix; learned from training rows."""

    numeric: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]
    """(column, level) pairs, a 0/1 column each."""
    level_means: Mapping[str, LevelMeans]

    @classmethod
    def of(cls, columns: Columns, label: Numbers) -> Self:
        """Choose the matrix's columns: constant numbers are left out, and levels rarer than 1 %."""
        numeric = tuple(name for name, values in columns.numbers.items() if _varies(values))
        levels: list[tuple[str, str]] = []
        means: dict[str, LevelMeans] = {}
        for name, text in columns.texts.items():
            shown, level_count = _frequent_levels(text, columns.row_count)
            levels += [(name, level) for level in shown]
            if level_count > MOST_LEVELS:
                means[name] = LevelMeans.of(text, label)
        return cls(numeric, tuple(levels), means)

    @property
    def sources(self) -> tuple[str, ...]:
        """The table's column that each of the matrix's columns comes from."""
        return (*self.numeric, *(name for name, _ in self.levels), *self.level_means)

    def matrix(self, columns: Columns) -> Numbers:
        """One row per row; missing numbers are NaN, an unknown level is 0 everywhere."""
        filled = np.empty((columns.row_count, len(self.sources)), dtype=np.float64, order="F")
        for at, name in enumerate(self.numeric):
            filled[:, at] = columns.numbers[name]
        for at, (name, level) in enumerate(self.levels, start=len(self.numeric)):
            text = columns.texts[name]
            names = (*text.levels, MISSING)
            filled[:, at] = text.codes % len(names) == names.index(level) if level in names else 0.0
        for at, (name, means) in enumerate(self.level_means.items(), start=len(self.numeric) + len(self.levels)):
            filled[:, at] = means.of_rows(columns.texts[name])
        return filled

    def training_matrix(self, columns: Columns, label: Numbers, units: Index, *, rng: np.random.Generator) -> Numbers:
        """As `matrix`, for the rows that were learned from: the mean outcome of a level comes from other units."""
        filled = self.matrix(columns)
        _, places = np.unique(units, return_inverse=True)
        part = (rng.permutation(int(places.max()) + 1) % PARTS)[places]
        for at, name in enumerate(self.level_means, start=len(self.numeric) + len(self.levels)):
            text = columns.texts[name]
            for one in range(PARTS):
                others = LevelMeans.of(TextColumn(text.codes[part != one], text.levels), label[part != one])
                filled[part == one, at] = others.of_rows(TextColumn(text.codes[part == one], text.levels))
        return filled


def _varies(values: Numbers) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and (known.min() != known.max() or len(known) < len(values))


def _frequent_levels(text: TextColumn, row_count: int) -> tuple[list[str], int]:
    """Levels that get a column, the most frequent first, and how many levels there are."""
    names = (*text.levels, MISSING)
    counts = np.bincount(text.codes % len(names), minlength=len(names))
    order = [at for at in np.argsort(-counts, kind="stable") if counts[at]]
    frequent = [names[at] for at in order[:MOST_LEVELS] if counts[at] >= RAREST_LEVEL_SHARE * row_count]
    if len(order) == 2:
        frequent = frequent[:1]  # why: the other level says the same
    elif len(order) < 2:
        frequent = []
    return frequent, len(order)
