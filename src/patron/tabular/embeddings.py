"""Customers as points, learned from their events without a label.

Two random stretches of one customer's events shall lie near each other and far from those of others (contrastive
learning of event sequences: Babaev et al. 2022, arXiv 2002.08232; the loss is InfoNCE: van den Oord et al. 2018, arXiv
1807.03748). A stretch is described by how often each event, each pair of neighbours and each length of pause is in it;
the points are linear in these counts, which needs no deep learning and some seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from threadpoolctl import threadpool_limits

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers
from patron.tabular.columns import text_values

MAX_KINDS, MAX_PAIRS, PAUSES = 60, 120, 12
"""The most frequent events and pairs of neighbours that are counted apart; pauses by powers of two of hours."""
MIN_EVENTS, MIN_CUSTOMERS = 4, 50
"""A customer with fewer events has no two stretches; of fewer customers nothing is learned."""
STEPS = 200
BATCH = 256
LEARNING_RATE = 0.01
TEMPERATURE = 0.2
HOUR = 3_600_000_000

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Where customers lie, by their events."""

    customer: str
    time: str
    kind: str
    kinds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    spread: Numbers
    weights: Numbers
    """One row per count, one column per dimension."""

    def table(self, events: Any) -> pa.Table:
        """One row per customer of these events: the customer, and `e0`, `e1`, ... of a point at distance 1 from 0.

        Raises BadComparison for a missing column.
        """
        sequences = _Sequences.of(events, self.customer, self.time, self.kind)
        counts = sequences.counts(self.kinds, self.pairs)
        whole = _sums(counts, sequences.starts, sequences.ends)
        with threadpool_limits(1):  # why: sums must not depend on the machine
            points = _on_sphere(_scale(whole, self.spread) @ self.weights)[0]
        columns = {f"e{at}": points[:, at] for at in range(points.shape[1])}
        return pa.table({self.customer: sequences.customers, **columns})


def fit_embeddings(
    events: Any, *, customer: str, time: str, kind: str, dimensions: int = 16, seed: int = 0
) -> Embeddings:
    """Learn points from events: one row per event with its customer, its time and what happened.

    Give only events from before the labels' time: what is learned from later ones would know the outcome.
    Raises BadComparison for a missing column, NotEnoughData.
    """
    sequences = _Sequences.of(events, customer, time, kind)
    kinds, pairs = sequences.frequent()
    counts, rng = sequences.counts(kinds, pairs), np.random.default_rng(seed)
    lengths = sequences.ends - sequences.starts
    long = np.flatnonzero(lengths >= MIN_EVENTS)
    if len(long) < MIN_CUSTOMERS:
        what = f"{len(long)} customers have {MIN_EVENTS} events or more, and {MIN_CUSTOMERS} are needed"
        raise NotEnoughData(what, where=kind, todo="Give more events, or do without embeddings.")
    spread = np.maximum(np.log1p(_sums(counts, sequences.starts[long], sequences.ends[long])).std(axis=0), 1e-9)
    weights = rng.normal(size=(len(spread), dimensions)) / np.sqrt(len(spread))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    with threadpool_limits(1):
        for step in range(1, STEPS + 1):
            chosen = rng.choice(long, min(BATCH, len(long)), replace=False)
            one, other = (
                _scale(_sums(counts, *_stretches(sequences.starts[chosen], lengths[chosen], rng)), spread)
                for _ in range(2)
            )
            slope = _slope(one, other, weights)
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            moved = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-9)
            weights = weights - LEARNING_RATE * moved
    return Embeddings(customer, time, kind=kind, kinds=kinds, pairs=pairs, spread=spread, weights=weights)


@dataclass(frozen=True, eq=False)
class _Sequences:
    """Events in the order of customer and time."""

    customers: pa.Array
    starts: Integers
    ends: Integers
    kinds: Sequence[str]
    """Of each event."""
    pauses: Integers
    """Before each event, as a power of two of hours; -1 before a customer's first."""

    @classmethod
    def of(cls, events: Any, customer: str, time: str, kind: str) -> "_Sequences":
        table = table_without_index(events)
        missing = [name for name in (customer, time, kind) if name not in table.column_names]
        if missing:
            raise BadComparison(
                f"the events have no column {', '.join(missing)}", todo=f"There are {', '.join(table.column_names)}."
            )
        table = table.select([customer, time, kind]).drop_null()
        at = table[time].cast(pa.timestamp("us")) if pa.types.is_temporal(table[time].type) else table[time]
        by = pa.table({"customer": table[customer], "at": at, "kind": text_values(table[kind].cast(pa.string()))})
        by = by.sort_by([("customer", "ascending"), ("at", "ascending"), ("kind", "ascending")])
        codes = pc.rank(by["customer"], tiebreaker="dense").to_numpy() - 1
        starts = np.flatnonzero(np.diff(codes, prepend=-1)).astype(np.int64)
        ends = np.append(starts[1:], len(codes)).astype(np.int64)
        moments = by["at"].cast(pa.int64()).to_numpy() if pa.types.is_temporal(by["at"].type) else by["at"].to_numpy()
        hours = np.diff(moments, prepend=moments[:1]) / (HOUR if pa.types.is_temporal(by["at"].type) else 1)
        pauses = np.clip(np.log2(np.maximum(hours, 1.0)), 0, PAUSES - 1).astype(np.int64)
        pauses[starts] = -1
        return cls(by["customer"].take(pa.array(starts)), starts, ends, by["kind"].to_pylist(), pauses)

    def frequent(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The most frequent kinds, and pairs of neighbours of one customer; of equally frequent ones the first."""
        kinds = Counter(self.kinds)
        pairs = Counter(pair for pair in self._pairs() if pair is not None)
        most_kinds = sorted(kinds, key=lambda one: (-kinds[one], one))[:MAX_KINDS]
        most_pairs = sorted(pairs, key=lambda one: (-pairs[one], one))[:MAX_PAIRS]
        return tuple(most_kinds), tuple(most_pairs)

    def counts(self, kinds: Sequence[str], pairs: Sequence[tuple[str, str]]) -> sparse.csr_matrix:
        """One row per event, with a one at its kind, its pair and its pause."""
        place_of_kind = {one: at for at, one in enumerate(kinds)}
        place_of_pair = {one: len(kinds) + at for at, one in enumerate(pairs)}
        first_pause = len(kinds) + len(pairs)
        of_kind = np.array([place_of_kind.get(kind, -1) for kind in self.kinds], dtype=np.int64)
        of_pair = np.array(
            [-1 if pair is None else place_of_pair.get(pair, -1) for pair in self._pairs()], dtype=np.int64
        )
        of_pause = np.where(self.pauses < 0, -1, first_pause + self.pauses)
        places = np.stack([of_kind, of_pair, of_pause])
        which, rows = np.nonzero(places >= 0)
        shape = (len(self.kinds), first_pause + PAUSES)
        return sparse.csr_matrix((np.ones(len(rows)), (rows, places[which, rows])), shape=shape)

    def _pairs(self) -> list[tuple[str, str] | None]:
        """Each event with the one before it; None for a customer's first."""
        before = [None, *self.kinds[:-1]]
        return [
            None if pause < 0 or first is None else (first, second)
            for first, second, pause in zip(before, self.kinds, self.pauses.tolist(), strict=True)
        ]


def _stretches(starts: Integers, lengths: Integers, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """A random stretch of each sequence: at least two events, at most all."""
    size = rng.integers(2, lengths + 1)
    first = starts + rng.integers(0, lengths - size + 1)
    return first, first + size


def _sums(counts: sparse.csr_matrix, starts: Integers, ends: Integers) -> Numbers:
    """Sums of the rows from each start to before its end."""
    lengths = ends - starts
    inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(starts, lengths)
    chosen = (np.ones(len(inside)), inside, np.append(0, np.cumsum(lengths)))
    rows = sparse.csr_matrix(chosen, shape=(len(starts), len(counts.indptr) - 1))
    return (rows @ counts).toarray()


def _scale(sums: Numbers, spread: Numbers) -> Numbers:
    return np.log1p(sums) / spread


def _on_sphere(points: Numbers) -> tuple[Numbers, Numbers]:
    """Points at distance 1 from 0, and how far they were."""
    size = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return points / size, size


def _slope(one: Numbers, other: Numbers, weights: Numbers) -> Numbers:
    """Slope of InfoNCE by the weights: each stretch of one view is to be told from all stretches of the other."""
    (near, near_size), (far, far_size) = _on_sphere(one @ weights), _on_sphere(other @ weights)
    likeness = near @ far.T / TEMPERATURE
    same = np.eye(len(near))
    pull = (_shares(likeness) - same + (_shares(likeness.T) - same).T) / (2 * len(near) * TEMPERATURE)
    of_near, of_far = pull @ far, pull.T @ near
    along = [of - points * (of * points).sum(axis=1, keepdims=True) for of, points in ((of_near, near), (of_far, far))]
    return one.T @ (along[0] / near_size) + other.T @ (along[1] / far_size)


def _shares(likeness: Numbers) -> Numbers:
    weight = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)
