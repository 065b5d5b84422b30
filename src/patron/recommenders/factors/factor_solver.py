"""Factors of users, or of items, that fit best while those of the other side stand still.

Each row x solves (gram + sum_k w_k y_k y_k' + ridge I) x = sum_k t_k y_k over its own entries k, by a few steps of
conjugate gradients from where it was (Takacs, Pilaszy and Tikk 2011). Rows do not depend on each other, so that several
threads give the same numbers as one. A round costs O(entries x factors + rows x factors^2) a step.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

Factors = npt.NDArray[np.float32]
"""Rows x factors."""
STEPS = 3
CHUNK = 2_048
FAST = {"reassoc", "contract", "nsz"}
"""Sums in any order, so that they use the processor's vectors; nothing else is relaxed."""


@dataclass(frozen=True, eq=False)
class Entries:
    """What is known of each row: entries in compressed rows, with their weight and target."""

    starts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]

    @classmethod
    def of(cls, weights: sp.csr_array, targets: npt.NDArray[np.floating]) -> "Entries":
        """From a matrix of weights and the target of each of its entries."""
        starts, places = weights.indptr.astype(np.int64), weights.indices.astype(np.int32)
        return cls(starts, places, weights.data.astype(np.float32), targets.astype(np.float32))


def random_factors(rng: np.random.Generator, rows: int, count: int) -> Factors:
    """Small factors to begin with."""
    return rng.normal(0, 0.1 / np.sqrt(max(count, 1)), (rows, count)).astype(np.float32)


def solve(x: Factors, entries: Entries, y: Factors, gram: Factors, ridge: Numbers, steps: int = STEPS) -> None:
    """Improve the rows of x in place by so many steps, those without an entry becoming 0."""
    columns = entries.starts, entries.places, entries.weights, entries.targets
    of_rows = ridge.astype(np.float32)

    def improve(first: int) -> None:
        _solve_rows(x, *columns, y, gram, of_rows, first, min(first + CHUNK, len(x)), steps)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(improve, range(0, len(x), CHUNK)))


@kernel(nogil=True, fastmath=FAST)
def _solve_rows(x, starts, places, weights, targets, y, gram, ridge, first, last, steps):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    count = x.shape[1]
    product = np.empty(count, x.dtype)
    rest = np.empty(count, x.dtype)
    way = np.empty(count, x.dtype)
    for row in range(first, last):
        begin, end = starts[row], starts[row + 1]
        if begin == end:
            x[row] = 0
            continue
        _multiply(x[row], places[begin:end], weights[begin:end], y, gram, ridge[row], product)
        rest[:] = -product
        for at in range(begin, end):
            other, target = y[places[at]], targets[at]
            for f in range(count):
                rest[f] += target * other[f]
        way[:] = rest
        length = _dot(rest, rest)
        for _ in range(steps):
            if length < 1e-12:
                break
            _multiply(way, places[begin:end], weights[begin:end], y, gram, ridge[row], product)
            step = length / _dot(way, product)
            for f in range(count):
                x[row, f] += step * way[f]
                rest[f] -= step * product[f]
            before, length = length, _dot(rest, rest)
            turn = length / before
            for f in range(count):
                way[f] = rest[f] + turn * way[f]


@kernel(nogil=True, fastmath=FAST)
def _multiply(x, places, weights, y, gram, ridge, product):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """The matrix of a row's equations times a vector."""
    for f in range(len(x)):
        product[f] = ridge * x[f]
    for g in range(len(gram)):
        value, of_gram = x[g], gram[g]
        for f in range(len(x)):
            product[f] += value * of_gram[f]
    for at in range(len(places)):
        other = y[places[at]]
        value = weights[at] * _dot(x, other)
        for f in range(len(x)):
            product[f] += value * other[f]


@kernel(nogil=True, fastmath=FAST)
def _dot(a, b):  # noqa: ANN001, ANN202
    total = np.float32(0)
    for f in range(len(a)):
        total += a[f] * b[f]
    return total
