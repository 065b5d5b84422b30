"""Train and test parts of interactions, always by time."""

from typing import Any

import numpy as np
import pyarrow as pa

from patron.recommenders.best_items import Flags
from patron.recommenders.ids import Codes
from patron.recommenders.interactions import interaction_table
from patron.recommenders.times import days_of
from patron.schema.errors import BadInteractions
from patron.schema.numbers import Numbers

WAYS = "leave-last, next-basket, or days:N, such as days:28"


def split(interactions: Any, how: str) -> tuple[pa.Table, pa.Table]:
    """Cut a frame into (train, test), rows in their order.

    `leave-last`: the last row of each user who has two or more; on equal times the later row is last. `next-basket`:
    all rows of the last time of each user who has rows at two times or more. `days:28`: all rows less than 28 days
    older than the newest one, where there are older ones. Raises BadInteractions.
    """
    table = interaction_table(interactions)
    day = days_of(table)
    user = np.asarray(table["user_id"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
    if not len(day):
        return table, table
    match how.partition(":"):
        case ["leave-last", "", ""]:
            is_test = last_rows(user, day)
        case ["next-basket", "", ""]:
            is_test = last_baskets(user, day)
        case ["days", ":", days] if days.isdecimal() and int(days):
            if "at" not in table.column_names:
                raise BadInteractions(f"{how} needs times", where="split", todo="Add a column at, or use leave-last.")
            is_test = day > day.max() - int(days)
            if is_test.all():
                what = f"the data span only {np.floor(np.ptp(day) * 10) / 10:g} days, {how} leaves none to train"
                raise BadInteractions(what, where="split", todo="Choose fewer days.")
        case _:
            raise BadInteractions(f"{how!r} is not a valid split", where="split", todo=f"Use {WAYS}.")
    return table.filter(pa.array(~is_test)), table.filter(pa.array(is_test))


def last_rows(user: Codes, day: Numbers) -> Flags:
    """Which rows are the last of a user who has two or more; on equal times the later row is last."""
    order = np.lexsort((day, user))  # stable: on equal times the later row stays last
    is_last = np.append(np.diff(user[order]) != 0, True)
    is_test = np.zeros(len(user), dtype=np.bool_)
    is_test[order[is_last]] = True
    return is_test & (np.bincount(user)[user] > 1)


def last_baskets(user: Codes, day: Numbers) -> Flags:
    """Which rows are of the last time of a user who has rows at two times or more."""
    first, last = np.full(user.max() + 1, np.inf), np.full(user.max() + 1, -np.inf)
    np.minimum.at(first, user, day)
    np.maximum.at(last, user, day)
    return (day == last[user]) & (first < last)[user]
