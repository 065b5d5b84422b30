"""Which features changed more than they usually do: the newest of some cutoffs against the one before, by counts alone.

A feature is counted in cells: no value, 0, and five bins of its other values, or its levels. The index of a change is
the population stability index over cells, of who has a value at all and of the values apart. A change counts where it
is large (`LARGE_INDEX`), beyond chance (by chi-squared or, of sizes, by ranks; all features of the run together are
wrong in one run of twenty) and `USUAL_FACTOR` times what is usual for this feature in this shop: the 80th percentile of
its changes between earlier cutoffs. Features that grow with the calendar by definition (`GROWS`) are not watched: what
breaks in them shows in the windows of the last 7 to 90 days. One that happens to grow is compared with its own growth.
Messages sent are not watched either: a mailing is the shop's decision, and falls into a window of 30 days or not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import chdtri, ndtri

from patron.schema.numbers import Numbers

Counts = npt.NDArray[np.int64]
Part = Literal["share", "size", "level"]
"""What changed: how many have a value other than 0, how large the values are, or which levels they have."""

LARGE_INDEX = 0.25
"""Population stability index that the field calls a major shift."""
USUAL_SHARE, USUAL_FACTOR = 0.8, 3.0
FALSE_ALARM_SHARE = 0.05
"""Share of runs in which chance alone may raise an alarm about some feature."""
MIN_EARLIER = 5
"""Changes between earlier cutoffs that tell what is usual."""
MIN_CUSTOMERS, MIN_VALUES = 100, 50
GROWS = re.compile(
    r"_lifetime|days_since_|_365_days|_month$|^days_from_|^refunded_order_share$|"
    r"_(january|february|march|april|may|june|july|august|september|october|november|december)$"
)
"""Names of features that grow with the calendar: counts of all time or of a year that is not over in a young shop, days
since something, order days by month; and the share of orders that were refunded, which steps up with each import of
refunds whose days nobody knows."""
OF_THE_SHOP = "message_sent_"
BINS = 5
FREQUENT = 0.01
"""Share of customers from which a level has a cell of its own."""
NO_VALUE = 0
ZERO = 1
FIRST_BIN = 2


@dataclass(frozen=True)
class Cells:
    """How the values of one feature are counted."""

    edges: Numbers
    """Between the bins of values other than 0."""
    levels: tuple[str, ...] | None = None
    """Of a text feature: the levels with a cell of their own; all others share one."""

    @property
    def size(self) -> int:
        """How many cells there are."""
        return FIRST_BIN + (len(self.edges) if self.levels is None else len(self.levels)) + 1


@dataclass(frozen=True)
class FeatureCounts:
    """Customers of each cutoff, the oldest first, in each cell of one feature."""

    feature: str
    cells: Cells
    counts: Counts
    """Shape (cutoffs, cells)."""


@dataclass(frozen=True)
class FeatureChange:
    """A feature that changed more than it usually does between the last two cutoffs."""

    feature: str
    part: Part
    index: float
    limit: float
    """The index that it would have been allowed, for this feature in this shop."""
    level: str | None = None
    """The level whose share changed most."""
    before: float | None = None
    """Share of customers with a value other than 0, or with the level, 0 to 1; None for a size."""
    now: float | None = None


def is_watched(feature: str) -> bool:
    """Whether a change of the feature may raise an alarm."""
    return not (GROWS.search(feature) or feature.startswith(OF_THE_SHOP))


def cells_of(column: pa.ChunkedArray) -> Cells:
    """Cells that divide the values of a reference evenly."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        counted = pc.value_counts(column.combine_chunks()).to_pylist()
        names = (one["values"] for one in counted if one["counts"] >= FREQUENT * len(column))
        return Cells(np.array([]), tuple(sorted(name for name in names if name is not None)))
    values = _floats(column)
    values = values[~np.isnan(values) & (values != 0)]
    return Cells(np.unique(np.quantile(values, np.arange(1, BINS) / BINS)) if len(values) else np.array([]))


def count_cells(column: pa.ChunkedArray, cells: Cells) -> Counts:
    """Customers in each cell."""
    if cells.levels is not None:
        at = pc.index_in(column, value_set=pa.array(cells.levels, column.type)).fill_null(len(cells.levels))
        place = np.where(column.is_null().to_numpy(), NO_VALUE, FIRST_BIN + at.to_numpy())
    else:
        values = _floats(column)
        place = FIRST_BIN + np.searchsorted(cells.edges, values, side="right")
        place = np.where(np.isnan(values), NO_VALUE, np.where(values == 0, ZERO, place))
    return np.bincount(place, minlength=cells.size)


def find_changes(features: Sequence[FeatureCounts]) -> list[FeatureChange]:
    """Features that changed more than usual between the last two cutoffs, in order of name."""
    watched = (feature for feature in features if is_watched(feature.feature))
    tested: list[tuple[FeatureCounts, Part]] = [(feature, part) for feature in watched for part in _parts(feature)]
    changes = (_judge(feature, part, len(tested)) for feature, part in tested)
    return sorted((change for change in changes if change), key=lambda change: (change.feature, change.part))


def stability_index(before: Counts, now: Counts) -> float:
    """Population stability index of counts in cells; half a customer is added to each cell."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (before, now))
    return float(np.sum((p - q) * np.log(p / q)))


def is_by_chance(before: Counts, now: Counts, tests: int, *, is_ordered: bool) -> bool:
    """Whether samples of one distribution may differ so much, in FALSE_ALARM_SHARE of runs with so many tests.

    By the index, which is about chi-squared; in ordered cells also by the difference of mean ranks (Mann and Whitney).
    """
    freedom = int(((before > 0) | (now > 0)).sum()) - 1
    if freedom < 1:
        return True
    alpha = FALSE_ALARM_SHARE / max(tests, 1) / (1 + is_ordered)
    scale = 1 / int(before.sum()) + 1 / int(now.sum())
    is_index = stability_index(before, now) <= float(chdtri(freedom, alpha)) * scale
    return is_index and not (is_ordered and abs(_rank_shift(before, now)) > -float(ndtri(alpha / 2)))


def _rank_shift(before: Counts, now: Counts) -> float:
    """Difference of mean ranks, in standard errors."""
    both = before + now
    rank = np.cumsum(both) - both / 2
    total = both.sum()
    variance = float((both * (rank - (both * rank).sum() / total) ** 2).sum() / total)
    difference = float((now * rank).sum() / now.sum() - (before * rank).sum() / before.sum())
    return difference / np.sqrt(variance * (1 / before.sum() + 1 / now.sum()))


def _parts(feature: FeatureCounts) -> tuple[Part, Part]:
    return ("share", "size") if feature.cells.levels is None else ("share", "level")


def _judge(feature: FeatureCounts, part: Part, tests: int) -> FeatureChange | None:
    counts, fewest = _counts_of(feature, part)
    if len(counts) < MIN_EARLIER + 2 or counts[-2:].sum(axis=1).min() < fewest:
        return None
    indices = np.array([stability_index(*pair) for pair in pairwise(counts)])
    is_enough = np.minimum(counts[:-1].sum(axis=1), counts[1:].sum(axis=1)) >= fewest
    earlier = indices[:-1][is_enough[:-1]]
    if len(earlier) < MIN_EARLIER:
        return None
    usual = USUAL_FACTOR * float(np.quantile(earlier, USUAL_SHARE))
    limit = max(LARGE_INDEX, usual)
    if indices[-1] <= limit or is_by_chance(counts[-2], counts[-1], tests, is_ordered=part == "size"):
        return None
    before, now = feature.counts[-2], feature.counts[-1]
    change = FeatureChange(feature.feature, part, float(indices[-1]), limit)
    if part == "size":
        return change
    shares = [one[FIRST_BIN:] / one.sum() for one in (before, now)]
    if part == "share":
        return replace(change, before=float(shares[0].sum()), now=float(shares[1].sum()))
    levels = feature.cells.levels or ()
    moved = int(np.argmax(np.abs(shares[1] - shares[0])[: len(levels)])) if levels else 0
    level = levels[moved] if levels else None
    return replace(change, level=level, before=float(shares[0][moved]), now=float(shares[1][moved]))


def _counts_of(feature: FeatureCounts, part: Part) -> tuple[Counts, int]:
    """Counts of the cells that a part is about, and how many customers they need."""
    counts = feature.counts
    if part == "share":
        return np.column_stack([counts[:, :FIRST_BIN], counts[:, FIRST_BIN:].sum(axis=1)]), MIN_CUSTOMERS
    return counts[:, FIRST_BIN:], MIN_VALUES


def _floats(column: pa.ChunkedArray) -> Numbers:
    values = column.cast(pa.float64()).combine_chunks().fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
