"""Weights that rank best what users did: forward selection on NDCG@10."""

from dataclasses import dataclass

import numpy as np

from patron.recommenders.best_items import Flags
from patron.recommenders.interactions import Codes
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

DEPTH = 10
STEPS = (1.0, 0.3, 0.1, 0.03)
"""What a weight is raised or lowered by, coarse steps first; the largest weight is near 1."""
LEAST_GAIN = 1e-5
MOST_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Ranking:
    """Pairs of users and items in order of users, with features and whether the user took the item."""

    row: Codes
    features: Numbers
    is_hit: Flags
    truth_count: Codes
    """Items that each user took, also those that are no pair."""

    def ndcg(self, weights: Numbers) -> float:
        """Mean NDCG@10 of the order by the weighted sum of the features, over users who took something."""
        of_users = self.ndcg_by_user(weights)
        return float(of_users.mean()) if len(of_users) else 0.0

    def ndcg_by_user(self, weights: Numbers) -> Numbers:
        """NDCG@10 of each user who took something."""
        starts = np.searchsorted(self.row, np.arange(len(self.truth_count) + 1))
        gained = _discounted_hits(self.features @ weights, self.is_hit, starts)
        ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, DEPTH + 2)))])
        best = ideal[np.minimum(self.truth_count, DEPTH)]
        return gained[best > 0] / best[best > 0]


def choose_weights(ranking: Ranking) -> Numbers:
    """One weight of 0 or more per feature: from the best single one on, steps that raise NDCG@10 the most."""
    count = ranking.features.shape[1]
    weights = max(np.eye(count), key=ranking.ndcg)
    best = ranking.ndcg(weights)
    for step in STEPS:
        for _ in range(MOST_ROUNDS):
            tries = [weights + change for change in (*(step * np.eye(count)), *(-step * np.eye(count)))]
            tries = [one for one in tries if (one >= 0).all() and one.any()]
            value, winner = max(((ranking.ndcg(one), at) for at, one in enumerate(tries)), default=(-1.0, 0))
            if value < best + LEAST_GAIN:
                break
            best, weights = value, tries[winner]
    return weights / weights.max()


@kernel()
def _discounted_hits(scores, is_hit, starts):  # noqa: ANN001, ANN202
    """DCG of the ten best of each row; ties by place."""
    gained = np.zeros(len(starts) - 1)
    best = np.empty(DEPTH)
    hits = np.empty(DEPTH, dtype=np.bool_)
    for row in range(len(starts) - 1):
        count = 0
        for place in range(starts[row], starts[row + 1]):
            score = scores[place]
            if count == DEPTH and score <= best[DEPTH - 1]:
                continue
            at = count if count < DEPTH else DEPTH - 1
            while at > 0 and best[at - 1] < score:
                best[at], hits[at] = best[at - 1], hits[at - 1]
                at -= 1
            best[at], hits[at] = score, is_hit[place]
            count = min(count + 1, DEPTH)
        for at in range(count):
            if hits[at]:
                gained[row] += 1 / np.log2(at + 2)
    return gained
