"""What users did last, held out so that a model can learn what to trust."""

from dataclasses import dataclass

import numpy as np

from patron.recommenders.interactions import Interactions
from patron.recommenders.splitting import last_baskets, last_rows

MAX_DAYS, SPAN_SHARE = 28.0, 0.1
"""A window is so long, or this share of all the time where that is shorter."""
HOUR = 1 / 24
MIN_USERS = 50


@dataclass(frozen=True, eq=False)
class Holdout:
    """Rows to learn from, and what the same users did after them."""

    before: Interactions
    after: Interactions
    days: float | None = None
    """Length of the window after the cut; None where each user has a cut of their own."""


def hold_out(known: Interactions, most: int) -> list[Holdout]:
    """The newest holdouts, the last one first; none where fewer than 50 users have rows on both sides.

    Rows that mostly follow each other within an hour are sequences: the last time of each user is held out, once. Other
    rows are cut at the same time for everybody: windows of four weeks, or of a tenth of the time.
    """
    holdouts = [] if is_sequence(known) else [_window(known, number) for number in range(1, most + 1)]
    kept = [holdout for holdout in holdouts if len(np.unique(holdout.after.user)) >= MIN_USERS]
    if kept:
        return kept
    is_last = last_baskets(known.user, known.day)
    is_last = is_last if is_last.any() else last_rows(known.user, known.day)
    last = Holdout(known.where(~is_last), known.where(is_last))
    return [last] if len(np.unique(last.after.user)) >= MIN_USERS else []


def is_sequence(known: Interactions) -> bool:
    """Whether most steps of a user to the next time take less than an hour."""
    order = np.lexsort((known.day, known.user))
    gaps = np.diff(known.day[order])[np.diff(known.user[order]) == 0]
    steps = gaps[gaps > 0]
    return bool(len(steps)) and float(np.mean(steps < HOUR)) > 1 / 2


def _window(known: Interactions, number: int) -> Holdout:
    days = min(MAX_DAYS, SPAN_SHARE * (known.end_day - float(known.day.min())))
    end = known.end_day - (number - 1) * days
    before = known.where(known.day <= end - days)
    is_after = (known.day > end - days) & (known.day <= end)
    return Holdout(before, known.where(is_after & np.isin(known.user, before.user)), days)
