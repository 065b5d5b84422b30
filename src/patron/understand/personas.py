"""Personas: groups of customers who shop alike, as many as come out again from other halves of the customers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron.schema.numbers import Numbers, float_column
from patron.understand.persona_traits import TraitColumn, clustered_matrix, trait_columns

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

MAX_PERSONAS = 8
MIN_DISTINCT = 80
"""With fewer customers who differ, there are no personas."""
MIN_SHARE = 0.03
MIN_CUSTOMERS = 10
"""No persona has fewer customers, nor a smaller share of them."""
SAMPLE = 4_000
"""Customers that groups are formed on."""
HALVINGS = 20
FIRST_HALVINGS = 4
"""After so many, a number of groups that is far from stable is given up."""
FAR = 0.1
"""How far below both limits, in their units, is far."""
STARTS, STARTS_AGAIN = 8, 2
MIN_PERSONA_STABILITY = 0.75
"""Mean Jaccard index from which Hennig (2007) calls a group stable: the least of any persona."""
MIN_STABILITY = 0.6
"""Least mean adjusted Rand index, less one standard error."""


@dataclass(frozen=True, eq=False)
class Personas:
    """Persona of each row (0 is the most valuable, -1 none), and how well they come out again."""

    ids: np.ndarray
    columns: list[TraitColumn]
    stabilities: tuple[float, ...]
    """Of each persona: mean Jaccard index with the group most like it, formed on another half of the customers."""
    overall_stability: float
    """Mean adjusted Rand index of the groups formed on two halves of the customers."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """A number of groups, tried."""

    model: "KMeans"
    stabilities: Numbers
    agreement: Numbers
    """Adjusted Rand index of each pair of halves."""

    @property
    def is_stable(self) -> bool:
        """Whether every group comes out again."""
        error = self.agreement.std(ddof=1) / np.sqrt(len(self.agreement))
        return bool(self.stabilities.min() >= MIN_PERSONA_STABILITY and self.agreement.mean() - error >= MIN_STABILITY)


def find_personas(features: pa.Table, seed: int) -> Personas:
    """Group customers into the largest number of groups that are stable; none where no number is.

    The larger of two stable numbers is chosen although fewer groups always agree better: two halves of a continuum are
    the stablest groups, and the least useful ones.
    """
    columns = trait_columns(features)
    nobody = Personas(np.full(features.num_rows, -1), columns, (), 0.0)
    if sum(column.trait.is_clustered for column in columns) < 2:
        return nobody
    matrix = clustered_matrix(columns)
    by_behaviour = matrix[np.lexsort(matrix.T)]  # why: ids are made with a secret, and personas follow from none
    sample = by_behaviour[np.sort(np.random.default_rng(seed).permutation(len(matrix))[:SAMPLE])]
    if len(np.unique(sample, axis=0)) < MIN_DISTINCT:
        return nobody
    with threadpool_limits(1):  # why: sums in one order, and no threads that wait for each other over small samples
        for count in range(MAX_PERSONAS, 1, -1):
            grouping = form_groups(sample, count, seed)
            if grouping is not None and grouping.is_stable:
                labels = np.asarray(grouping.model.predict(matrix))
                return _by_value(labels, grouping, columns, float_column(features, "paid_cents_365_days"))
    return nobody


def form_groups(sample: Numbers, count: int, seed: int) -> Grouping | None:
    """Form groups, and form them again on halves of the sample that share no customer (Hennig 2007; Lange 2004).

    None where one of them is tiny.
    """
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415 - a shop without groups need not import it

    model = _kmeans(count, seed, STARTS).fit(sample)
    labels = np.asarray(model.labels_)
    sizes = np.bincount(labels, minlength=count).astype(np.float64)
    if sizes.min() < max(MIN_SHARE * len(sample), MIN_CUSTOMERS):
        return None
    rng = np.random.default_rng([seed, count])
    agreement, overlaps = [], []
    for number in range(HALVINGS):
        if number == FIRST_HALVINGS and _is_far_from_stable(np.mean(overlaps, axis=0), np.mean(agreement)):
            break
        order = rng.permutation(len(sample))
        halves = np.array_split(order, 2)
        again = [np.asarray(_kmeans(count, seed, STARTS_AGAIN).fit(sample[half]).predict(sample)) for half in halves]
        agreement.append(adjusted_rand_score(*again))
        overlaps += [_best_overlap(labels, other, count) for other in again]
    return Grouping(model, np.mean(overlaps, axis=0), np.array(agreement))


def _is_far_from_stable(stabilities: Numbers, agreement: np.floating) -> bool:
    return bool(stabilities.min() < MIN_PERSONA_STABILITY - FAR or agreement < MIN_STABILITY - FAR)


def _kmeans(count: int, seed: int, starts: int) -> "KMeans":
    from sklearn.cluster import KMeans  # noqa: PLC0415 - a shop without groups need not import it

    return KMeans(count, n_init=starts, random_state=seed % 2**31)  # pyright: ignore[reportArgumentType] - stubs know 'auto' only


def _best_overlap(labels: np.ndarray, other: np.ndarray, count: int) -> Numbers:
    """Jaccard index of each group with the other group that is most like it."""
    both = np.zeros((count, count))
    np.add.at(both, (labels, other), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    return (both / np.maximum(either, 1)).max(axis=1)


def _by_value(labels: np.ndarray, grouping: Grouping, columns: list[TraitColumn], paid: Numbers) -> Personas:
    """Number personas by mean spend, the highest first."""
    groups = np.unique(labels)
    order = sorted(groups, key=lambda group: (-paid[labels == group].mean(), group))
    places = np.zeros(len(grouping.stabilities), dtype=np.int64)
    places[order] = np.arange(len(order))
    stabilities = tuple(round(float(grouping.stabilities[group]), 6) for group in order)
    return Personas(places[labels], columns, stabilities, round(float(grouping.agreement.mean()), 6))
