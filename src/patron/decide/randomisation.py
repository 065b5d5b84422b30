"""Randomisation: which customers are randomised, to which offer, and with exactly which probability.

Customers of the same stratum and similar cost are shuffled among each other and seated around a wheel of SLOTS slots,
which then is rotated by a random number of slots. Each slot belongs to one arm (an offer, nothing, or the best
offer), so the probability of an arm is its number of slots over SLOTS, exactly, for each customer. As the wheel has
only SLOTS positions, the cost of all of them is computed beforehand, and so many slots are given to offers that
not one position exceeds the budget: the budget holds without a correction that would falsify the probabilities.
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
NOTHING, BEST = -1, -2
"""Arms besides the offers, which are numbered from 0."""


@dataclass(frozen=True)
class Wheel:
    """Assignment of arms to slots: how many slots each arm has."""

    slots_per_offer: int
    slots_of_nothing: int
    offers: int

    @property
    def arms(self) -> Codes:
        """Arm of each slot: the offers, then nothing, then the best offer."""
        best = SLOTS - self.offers * self.slots_per_offer - self.slots_of_nothing
        counts = [*[self.slots_per_offer] * self.offers, self.slots_of_nothing, best]
        return np.repeat([*range(self.offers), NOTHING, BEST], counts).astype(np.int64)


@dataclass(frozen=True)
class Placement:
    """Customers around the wheel: their slots, what each offer costs, and which offers they may be randomised to."""

    slot: Codes
    cost: Numbers
    is_open: npt.NDArray[np.bool_]
    """The slots of an offer that is not open count as nothing for this customer."""


def draw_slots(stratum: npt.NDArray[np.str_], cost: Numbers, *, rng: np.random.Generator) -> Codes:
    """Draw the slot of each customer, before the wheel turns."""
    order = np.lexsort((cost.max(axis=1, initial=0.0), stratum))
    batch = np.arange(len(order)) // SHUFFLE_BATCH_SIZE
    shuffled = order[np.lexsort((rng.random(len(order)), batch))]
    slot = np.empty(len(order), dtype=np.int64)
    slot[shuffled] = np.arange(len(order)) * STRIDE % SLOTS
    return slot


def affordable_wheel(placement: Placement, *, share: float, offer_share: float, budget_cents: float) -> Wheel:
    """Randomise `share` of the customers, `offer_share` of them to offers, fewer if the budget ends."""
    offers = placement.cost.shape[1]
    randomised = round(share * SLOTS)
    most = round(randomised * offer_share) // max(offers, 1)
    nobody = np.full(len(placement.slot), NOTHING, dtype=np.int64)
    for each in range(most, 0, -1):
        wheel = Wheel(each, randomised - each * offers, offers)
        if max_cost(wheel, placement, nobody) <= budget_cents:
            return wheel
    return Wheel(0, randomised, offers)


def max_cost(wheel: Wheel, placement: Placement, best: Codes) -> float:
    """Largest cost over all positions of the wheel, with `best` the best offer of each customer, cents."""
    offers = placement.cost.shape[1]
    cost_of_slot = np.zeros((offers + 1, SLOTS))
    for offer in range(offers):
        allowed = np.where(placement.is_open[:, offer], placement.cost[:, offer], 0.0)
        cost_of_slot[offer] = np.bincount(placement.slot, weights=allowed, minlength=SLOTS)
    of_best = np.where(best >= 0, placement.cost[np.arange(len(best)), np.maximum(best, 0)], 0.0)
    cost_of_slot[offers] = np.bincount(placement.slot, weights=of_best, minlength=SLOTS)
    arms = wheel.arms[(np.arange(SLOTS)[:, None] + np.arange(SLOTS)) % SLOTS]  # position of the wheel x slot
    row = np.where(arms == BEST, offers, arms)
    return float(np.where(row == NOTHING, 0.0, cost_of_slot[row, np.arange(SLOTS)]).sum(axis=1).max())


def draw_arms(wheel: Wheel, slot: Codes, *, rng: np.random.Generator) -> Codes:
    """Turn the wheel once: the arm of each customer."""
    return wheel.arms[(slot + rng.integers(SLOTS)) % SLOTS]


def actions(arm: Codes, best: Codes, is_open: npt.NDArray[np.bool_]) -> Codes:
    """Action of each customer: an offer's number, or NOTHING."""
    offered = np.where(arm >= 0, arm, NOTHING)
    is_closed = (arm >= 0) & ~is_open[np.arange(len(arm)), np.maximum(arm, 0)] if is_open.shape[1] else arm >= 0
    return np.where(arm == BEST, best, np.where(is_closed, NOTHING, offered))


def propensities(wheel: Wheel, best: Codes, is_open: npt.NDArray[np.bool_]) -> Numbers:
    """Probability of each action, one row per customer; columns are the offers and, last, nothing. Rows sum to 1."""
    rows, offers = is_open.shape
    slots = np.zeros((rows, offers + 1))
    slots[:, :offers] = np.where(is_open, wheel.slots_per_offer, 0)
    slots[:, offers] = wheel.slots_of_nothing + wheel.slots_per_offer * (~is_open).sum(axis=1)
    of_best = SLOTS - wheel.slots_of_nothing - wheel.slots_per_offer * offers
    slots[np.arange(rows), np.where(best >= 0, best, offers)] += of_best
    return slots / SLOTS
