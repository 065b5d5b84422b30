"""Causes of leaving that are planted, so that what drove a customer away is known; none in the default shop."""

import numpy as np

from patron.simulate.random_streams import Draws, choose
from patron.simulate.simulator_settings import SimulatorSettings

CAUSES = ("bad_delivery", "bad_review", "slowing")
BAD_DELIVERY, BAD_REVIEW, SLOWING = range(len(CAUSES))
NO_CAUSE = -1
NEVER = 2**40
"""A day that does not come."""
FIRST_CAUSE_DAYS = 30
"""From sign-up to the earliest day of a cause, days."""
RETURN_DAYS = 4
"""From a bad delivery to its return, days."""
REPLACEMENT_DAYS = 8
"""From a bad delivery to the order that replaces it, which is sent back too, days."""
REVIEW_DAYS = 6
"""From the order to its one-star review, days."""
EVIDENCE_DAYS = (REPLACEMENT_DAYS + RETURN_DAYS + 1, REVIEW_DAYS + 1, 30)
"""From a cause to the day on which the shop has seen what it can see of it, days."""


def leaving_causes(
    index: np.ndarray, signup_day: np.ndarray, is_visitor: np.ndarray, shop: SimulatorSettings, draws: Draws
) -> dict[str, np.ndarray]:
    """Each person's cause, the day it strikes, the day by which it has driven them away, and how interest fades."""
    shares = shop.leaving_cause_shares
    drawn = choose((*shares, 1.0 - sum(shares)), draws.uniform("cause", index))
    has_cause = (drawn < len(CAUSES)) & ~is_visitor
    cause = np.where(has_cause, drawn, NO_CAUSE)
    waited = np.floor(shop.until_cause_days * draws.exponential("until cause", index)).astype(np.int64)
    day = signup_day + FIRST_CAUSE_DAYS + waited
    lingers = np.floor(shop.cause_to_leaving_days * draws.exponential("lingers", index)).astype(np.int64)
    left = day + np.array([*EVIDENCE_DAYS, 0])[drawn] + lingers
    return {
        "cause": cause,
        "cause_day": np.where(has_cause, day, NEVER),
        "left_day": np.where(has_cause, left, NEVER),
        "fading_days": np.where(cause == SLOWING, shop.fading_days, np.inf),
    }
