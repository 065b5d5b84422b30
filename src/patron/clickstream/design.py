"""The matrix that learners see: numbers of a visit, and one 0/1 column per frequent sequence of event types."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from patron.clickstream.features import GRAMS, NUMBERS, Row
from patron.schema.numbers import Numbers, float_column

SHARE_OF_ROWS = 0.003
"""A sequence of event types in fewer of the rows has no column of its own."""
MOST_SEQUENCES = 120


@dataclass(frozen=True)
class Design:
    """Columns in a fixed order: NUMBERS, with NaN for what is unknown, then sequences of one, two and three types."""

    sequences: tuple[tuple[str, str], ...]
    """(column, sequence) pairs."""

    @classmethod
    def of(cls, rows: pa.Table) -> Self:
        """Choose the sequences from training rows, the most frequent first; ties by their names."""
        fewest = max(1.0, SHARE_OF_ROWS * rows.num_rows)
        counts = [
            (one["counts"], name, one["values"]) for name in GRAMS for one in rows[name].value_counts().to_pylist()
        ]
        frequent = sorted((-count, name, sequence) for count, name, sequence in counts if count >= fewest)
        return cls(tuple(sorted((name, sequence) for _, name, sequence in frequent[:MOST_SEQUENCES])))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*NUMBERS, *(f"{name}={sequence}" for name, sequence in self.sequences))

    def matrix(self, rows: pa.Table) -> Numbers:
        """One row per row of the table."""
        filled = np.zeros((rows.num_rows, len(self.names)))
        for at, name in enumerate(NUMBERS):
            filled[:, at] = float_column(rows, name, np.nan)
        for name in GRAMS:
            coded = rows[name].combine_chunks().dictionary_encode()
            places = [self._places.get((name, sequence), -1) for sequence in coded.dictionary.to_pylist()]
            place = np.array(places, dtype=np.int64)[coded.indices.to_numpy()]
            known = np.flatnonzero(place >= 0)
            filled[known, place[known]] = 1.0
        return filled

    def vector(self, row: Row) -> Numbers:
        """The matrix of one row as `features_after` gives it, fifty times as fast as by way of a table."""
        filled = np.zeros((1, len(self.names)))
        filled[0, : len(NUMBERS)] = row[: len(NUMBERS)]  # None becomes NaN
        for key in zip(GRAMS, row[len(NUMBERS) :], strict=True):
            if key in self._places:
                filled[0, self._places[key]] = 1.0
        return filled

    @cached_property
    def _places(self) -> dict[tuple[str, Any], int]:
        """The column of each sequence."""
        return {key: at for at, key in enumerate(self.sequences, len(NUMBERS))}
