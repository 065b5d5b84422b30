"""What users did last, held out so that a model can learn what to trust."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from patron.recommenders.interactions import Interactions
from patron.recommenders.splitting import last_baskets, last_rows
from patron.schema.errors import BadInteractions

MAX_DAYS, SPAN_SHARE = 28.0, 0.1
"""A window is so long, or this share of all the time where that is shorter."""
MIN_USERS = 50
Asked = Literal["next", "window"]
"""What lists are for: what each user takes next, or all that users take in the coming weeks."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Rows to learn from, and what the same users did after them."""

    before: Interactions
    after: Interactions
    days: float | None = None
    """Length of the window after the cut; None where each user has a cut of their own."""


def hold_out(known: Interactions, most: int, asked: Asked | None = None) -> list[Holdout]:
    """The newest holdouts, the last one first; none where fewer than 50 users have rows on both sides.

    Where the next time is asked for, the last time of each user is held out, once; for the coming weeks rows are cut at
    the same time for everybody: windows of four weeks, or of a tenth of the time. By default it is `infer_asked`.
    Raises BadInteractions.
    """
    if asked not in {None, *get_args(Asked)}:
        raise BadInteractions(f"{asked!r} is nothing that lists are for", where="asked", todo="Use next or window.")
    is_next = (asked or infer_asked(known)) == "next"
    holdouts = [] if is_next else [_window(known, number) for number in range(1, most + 1)]
    kept = [holdout for holdout in holdouts if len(np.unique(holdout.after.user)) >= MIN_USERS]
    if kept:
        return kept
    is_last = last_baskets(known.user, known.day)
    is_last = is_last if is_last.any() else last_rows(known.user, known.day)
    last = Holdout(known.where(~is_last), known.where(is_last))
    return [last] if len(np.unique(last.after.user)) >= MIN_USERS else []


def infer_asked(known: Interactions) -> Asked:
    """Infer what lists are for: the next item where users mostly take one at a time, else the coming weeks.

    Clicks, ratings and single purchases are taken one at a time, baskets are not; the pace does not matter.
    """
    order = np.lexsort((known.day, known.user))
    is_new = np.r_[True, (np.diff(known.user[order]) != 0) | (np.diff(known.day[order]) != 0)]
    sizes = np.diff(np.r_[np.flatnonzero(is_new), len(order)])
    return "next" if known.has_times and np.mean(sizes == 1) > 1 / 2 else "window"


def _window(known: Interactions, number: int) -> Holdout:
    days = min(MAX_DAYS, SPAN_SHARE * (known.end_day - float(known.day.min())))
    end = known.end_day - (number - 1) * days
    before = known.where(known.day <= end - days)
    is_after = (known.day > end - days) & (known.day <= end)
    return Holdout(before, known.where(is_after & np.isin(known.user, before.user)), days)
