"""The wheel: actions drawn with exactly known probabilities, and what they use at every position of it.

Customers of the same stratum and similar cost are shuffled among each other and seated around a wheel of SLOTS slots,
which then turns by a random number of slots. Each customer's actions have so many of the slots, so the probability of
an action is its number of slots over SLOTS, exactly. As the wheel has only SLOTS positions, cost and offers of all of
them are known before it turns: a limit that all positions hold is held without a correction that would falsify the
probabilities.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]

SLOTS = 240
STRIDE = 149
"""Coprime to SLOTS: neighbours land far apart, and SLOTS neighbours fill the wheel."""
SHUFFLE_BATCH_SIZE = 24
NOTHING = -1


def draw_slots(stratum: npt.NDArray[np.str_], cost: Numbers, *, rng: np.random.Generator) -> Codes:
    """Draw the slot of each customer, before the wheel turns."""
    order = np.lexsort((cost.max(axis=1, initial=0.0), stratum))
    batch = np.arange(len(order)) // SHUFFLE_BATCH_SIZE
    shuffled = order[np.lexsort((rng.random(len(order)), batch))]
    slot = np.empty(len(order), dtype=np.int64)
    slot[shuffled] = np.arange(len(order)) * STRIDE % SLOTS
    return slot


@dataclass(frozen=True)
class Wheel:
    """Customers around the wheel."""

    slot: Codes
    counts: Codes
    """Slots of each action, one row per customer; columns are the offers and, last, nothing. Rows sum to SLOTS."""

    @property
    def propensities(self) -> Numbers:
        """Probability of each action, in the same shape."""
        return self.counts / SLOTS

    def turn(self, rng: np.random.Generator) -> Codes:
        """Turn the wheel once: the action of each customer, an offer's number or NOTHING."""
        place = (self.slot + rng.integers(SLOTS)) % SLOTS
        action = (place[:, None] >= np.cumsum(self.counts, axis=1)).sum(axis=1)
        return np.where(action == self.counts.shape[1] - 1, NOTHING, action)

    def peak_use(self, use: Numbers) -> float:
        """The largest sum of what offers use over all positions of the wheel; `use` is (customers, offers)."""
        ends = np.cumsum(self.counts, axis=1)
        change = np.zeros(2 * SLOTS + 1)
        for offer in range(use.shape[1]):
            count = self.counts[:, offer]
            start = (ends[:, offer] - count - self.slot) % SLOTS
            weight = np.where(count > 0, use[:, offer], 0.0)
            change += np.bincount(start, weight, len(change)) - np.bincount(start + count, weight, len(change))
        used = np.cumsum(change)[:-1]
        return float((used[:SLOTS] + used[SLOTS:]).max())


def certain_counts(action: Codes, offers: int) -> Codes:
    """Slots of customers who get one action whatever the position."""
    counts = np.zeros((len(action), offers + 1), dtype=np.int64)
    counts[np.arange(len(action)), np.where(action == NOTHING, offers, action)] = SLOTS
    return counts
