"""What a list's scores mean: how often products with such a score were bought after a past cutoff."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from patron.schema.numbers import Numbers

MOST_PARTS, LEAST_ROWS = 40, 100
"""Parts of a group by score, and rows of each."""
PRIOR_ROWS = 20.0
"""Rows at the group's mean that keep each part from extremes."""
STEP = 1e-6
"""Least difference of the probabilities of neighbouring parts."""


@dataclass(frozen=True)
class ListedPairs:
    """Products that were listed at a past cutoff to customers who bought something after it."""

    score: Numbers
    is_repeat: npt.NDArray[np.bool_]
    """Whether the customer had bought the product before."""
    is_bought: npt.NDArray[np.bool_]
    """Whether they bought it within the horizon."""

    @classmethod
    def join(cls, parts: "list[ListedPairs]") -> Self:
        """Pairs of several cutoffs."""
        columns = zip(*((one.score, one.is_repeat, one.is_bought) for one in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class ListProbabilities:
    """Probability by score, one rising line for repeat purchases and one for products new to the customer."""

    points: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    """Of new products and of repeats: scores and probabilities."""

    @classmethod
    def fit(cls, pairs: ListedPairs) -> Self:
        """Isotonic regression of the share bought on the score, by group."""
        return cls(tuple(_line(pairs, pairs.is_repeat == is_repeat) for is_repeat in (False, True)))

    def of(self, score: Numbers, is_repeat: npt.NDArray[np.bool_]) -> Numbers:
        """Probability of each listed product, 0 to 1."""
        new, again = (np.interp(score, *line) if line[0] else np.zeros(len(score)) for line in self.points)
        return np.where(is_repeat, again, new)

    def to_json(self) -> list[Any]:
        """The points, as lists."""
        return [[list(scores), list(values)] for scores, values in self.points]

    @classmethod
    def from_json(cls, content: list[Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple((tuple(scores), tuple(values)) for scores, values in content))


def _line(pairs: ListedPairs, flags: npt.NDArray[np.bool_]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Score and probability of parts of a group, both strictly rising, so that no order within a list is lost."""
    score, is_bought = pairs.score[flags], pairs.is_bought[flags]
    if not len(score):
        return (), ()
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, min(MOST_PARTS, max(len(order) // LEAST_ROWS, 1)))
    share = is_bought.mean()
    bought = np.array([(is_bought[part].sum() + PRIOR_ROWS * share) / (len(part) + PRIOR_ROWS) for part in parts])
    places, sizes = np.arange(len(parts)), np.array([len(part) for part in parts])
    rising = IsotonicRegression().fit(places, bought, sample_weight=sizes).predict(places)
    centres = np.array([score[part].mean() for part in parts])
    scores = np.concatenate([[score[order[0]]], centres, [score[order[-1]]]])
    values = np.concatenate([rising[:1], rising, rising[-1:]]) + STEP * np.arange(len(scores))
    scores, first = np.unique(scores, return_index=True)
    return tuple(scores.tolist()), tuple(np.clip(values[first], 0.0, 1.0).tolist())
