"""Groups of rows around their means, and how alike two groupings are; as scikit-learn forms them, label for label.

Written here as scikit-learn takes longer to import than a small shop takes to be grouped.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

Labels = npt.NDArray[np.intp]
MAX_ITERATIONS = 300
TOLERANCE = 1e-4
"""Of the mean variance of the columns: means that move less stay."""


@dataclass(frozen=True, eq=False)
class FittedKMeans:
    """The means of the groups, and the group of each row that they were formed on."""

    means: Numbers
    labels: Labels

    def predict(self, rows: Numbers) -> Labels:
        """The group whose mean is nearest to each row."""
        return _nearest(rows, self.means)


@dataclass(frozen=True)
class KMeans:
    """Lloyd's algorithm, from the best of several starts (k-means++ by Arthur and Vassilvitskii 2007, greedy)."""

    groups: int
    starts: int

    def fit(self, rows: Numbers, *, seed: int) -> FittedKMeans:
        """Form groups of at least as many distinct rows."""
        tolerance, middle = TOLERANCE * rows.var(axis=0).mean(), rows.mean(axis=0)
        centred, random = rows - middle, np.random.RandomState(seed)
        best: tuple[float, Labels, Numbers] | None = None
        for _ in range(self.starts):
            labels, means = _move_means(centred, _first_means(centred, self.groups, random), tolerance)
            spread = float(((centred - means[labels]) ** 2).sum())
            if best is None or (spread < best[0] and not _is_same(labels, best[1], self.groups)):
                best = spread, labels, means
        assert best is not None  # noqa: S101 - there is a start
        return FittedKMeans(best[2] + middle, best[1])


def adjusted_rand_index(one: Labels, other: Labels) -> float:
    """How far two groupings agree beyond chance (Hubert and Arabie 1985): 1 where they are the same."""
    both = np.zeros((one.max() + 1, other.max() + 1), dtype=np.int64)
    np.add.at(both, (one, other), 1)
    of_one, of_other, together = ((counts**2).sum() for counts in (both.sum(axis=1), both.sum(axis=0), both))
    only_one, only_other = int(of_one - together), int(of_other - together)
    in_both, in_none = int(together) - len(one), len(one) ** 2 - int(of_one + of_other - together)
    if not only_one and not only_other:
        return 1.0
    by_chance = (in_both + only_one) * (only_one + in_none) + (in_both + only_other) * (only_other + in_none)
    return 2.0 * (in_both * in_none - only_one * only_other) / by_chance


def _first_means(rows: Numbers, groups: int, random: np.random.RandomState) -> Numbers:
    """Rows far from each other: each the best of a few that are drawn by their distance to those before."""
    chosen = [random.choice(len(rows), p=np.full(len(rows), 1 / len(rows)))]
    squares = (rows**2).sum(axis=1)
    nearest = _distances(rows[chosen], rows, squares)[0]
    for _ in range(1, groups):
        drawn = random.uniform(size=2 + int(np.log(groups))) * nearest.sum()
        candidates = np.minimum(np.searchsorted(np.cumsum(nearest), drawn), len(rows) - 1)
        distances = np.minimum(nearest, _distances(rows[candidates], rows, squares))
        best = np.argmin(distances.sum(axis=1))
        nearest = distances[best]
        chosen.append(candidates[best])
    return rows[chosen]


def _move_means(rows: Numbers, means: Numbers, tolerance: float) -> tuple[Labels, Numbers]:
    """Move means to the middle of the rows that are nearest to them, until no row changes its group."""
    before = np.full(len(rows), -1)
    for _ in range(MAX_ITERATIONS):
        labels = _nearest(rows, means)
        moved = _means_of(rows, labels, means)
        shift, means = ((moved - means) ** 2).sum(), moved
        if np.array_equal(labels, before):
            return labels, means
        if shift <= tolerance:
            break
        before = labels
    return _nearest(rows, means), means


def _means_of(rows: Numbers, labels: Labels, before: Numbers) -> Numbers:
    """The mean of each group; a group without rows gets one of those that are farthest from their mean."""
    counts = np.bincount(labels, minlength=len(before)).astype(np.float64)
    sums = np.column_stack([np.bincount(labels, weights=column, minlength=len(before)) for column in rows.T])
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        distances = ((rows - before[labels]) ** 2).sum(axis=1)
        for group, row in zip(empty, np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1], strict=True):
            sums[labels[row]] -= rows[row]
            counts[labels[row]] -= 1
            sums[group], counts[group] = rows[row], 1
    return sums / counts[:, None]


def _nearest(rows: Numbers, means: Numbers) -> Labels:
    return np.argmin((means**2).sum(axis=1) - 2 * rows @ means.T, axis=1)


def _distances(some: Numbers, rows: Numbers, squares: Numbers) -> Numbers:
    """Squared distances of some rows to all."""
    return np.maximum((some**2).sum(axis=1)[:, None] - 2 * some @ rows.T + squares, 0)


def _is_same(one: Labels, other: Labels, groups: int) -> bool:
    """Whether two groupings differ in the numbers of the groups only."""
    names = np.full(groups, -1)
    names[one] = other
    return np.array_equal(names[one], other)
