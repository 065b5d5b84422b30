"""Empirical Bayes over offers x strata: a cell borrows from cells that share its offer, stage, taste or value.

A cell's effect is a mean plus one term each for its offer, each part of its stratum's name, its stratum and itself;
the size of each kind of term is learned by EM (Laird and Ware, 1982). Differences within noise are shrunk away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from patron.measure.offer_effects import OfferEffect
from patron.schema.numbers import Numbers

ROUNDS = 200
PARTS = "/"


@dataclass(frozen=True)
class ShrunkEffect:
    """Posterior mean and standard deviation of an offer's effect in a stratum, cents."""

    offer: str
    stratum: str
    effect: float
    standard_error: float


def shrunk_effects(estimates: Sequence[OfferEffect], cells: Sequence[tuple[str, str]]) -> list[ShrunkEffect]:
    """Effects of the cells (offer, stratum) from the estimates; a cell never measured has the effect of its terms."""
    if not estimates:
        return []
    keys = list(dict.fromkeys([*((estimate.offer, estimate.stratum) for estimate in estimates), *cells]))
    terms, kind = _design(keys)
    measured_terms = terms[: len(estimates)]
    y = np.array([estimate.adjusted.value for estimate in estimates])
    noise = np.maximum(np.array([estimate.standard_error for estimate in estimates]), 1e-9) ** 2
    mean, spread = _posterior(measured_terms, kind, y, noise)
    effect = terms @ mean
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", terms, spread, terms), 0.0))
    at = {key: row for row, key in enumerate(keys)}
    return [ShrunkEffect(*key, float(effect[at[key]]), float(error[at[key]])) for key in cells]


def _design(keys: Sequence[tuple[str, str]]) -> tuple[Numbers, np.ndarray]:
    """One 0/1 column per level of each kind of term, the mean first; and the kind of each column."""
    named = [
        [("mean", ""), ("offer", offer), ("stratum", stratum), ("cell", f"{offer} {stratum}")]
        + [(f"part {at}", part) for at, part in enumerate(stratum.split(PARTS))]
        for offer, stratum in keys
    ]
    levels = sorted({level for row in named for level in row}, key=lambda level: (level[0] != "mean", level))
    position = {level: at for at, level in enumerate(levels)}
    terms = np.zeros((len(keys), len(levels)))
    for row, levels_of_row in enumerate(named):
        terms[row, [position[level] for level in levels_of_row]] = 1.0
    return terms, np.unique([level[0] for level in levels], return_inverse=True)[1]


def _posterior(terms: Numbers, kind: np.ndarray, y: Numbers, noise: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and covariance of all terms given the estimates; the mean is free, the sizes of the others are learned."""
    wide = (10 * (np.abs(y).max() + np.sqrt(noise.max()))) ** 2
    start = max(float(np.var(y)), 1e-6) / 5
    size = np.full(terms.shape[1], start)
    size[0] = wide
    count = np.bincount(kind)
    mean, spread = np.zeros(terms.shape[1]), np.diag(size)
    for _ in range(ROUNDS):
        gain = (size[:, None] * terms.T) @ np.linalg.inv((terms * size) @ terms.T + np.diag(noise))
        mean = gain @ y
        spread = np.diag(size) - gain @ (terms * size)
        learned = np.bincount(kind, weights=mean**2 + np.diag(spread)) / count
        size = np.maximum(learned[kind], 1e-9)
        size[0] = wide
    return mean, spread
