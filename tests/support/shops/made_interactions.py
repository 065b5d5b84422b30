"""Interactions of a made shop whose structure is known: tastes, habits, and orders of steps."""

import numpy as np
import pyarrow as pa

DAY = 86_400


def tastes(seed: int = 0, *, users: int = 150, items: int = 60, rows: int = 25) -> pa.Table:
    """Each user likes one of three groups of items, three times in four; each item is had once by a user."""
    rng = np.random.default_rng(seed)
    group_of_user, group_of_item = np.arange(users) % 3, np.arange(items) % 3
    popularity = 1 / (1 + np.arange(items) // 3)
    parts = []
    for user in range(users):
        liking = popularity * np.where(group_of_item == group_of_user[user], 9.0, 1.0)
        had = rng.choice(items, size=min(rows, items // 3), replace=False, p=liking / liking.sum())
        parts.append((np.full(len(had), user), had, np.sort(rng.integers(0, 90 * DAY, len(had)))))
    return table_of(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def habits(seed: int = 0, *, users: int = 120, items: int = 80, days: int = 150) -> pa.Table:
    """Each user buys five items again and again, each with a rhythm of its own, and now and then another."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for item in rng.choice(items, 5, replace=False):
            rhythm = rng.choice([7, 14, 30])
            days_of_item = np.arange(rng.integers(0, rhythm), days, rhythm)
            rows += [(user, item, int(day) * DAY) for day in days_of_item[rng.random(len(days_of_item)) < 0.9]]
        others = rng.zipf(1.4, 10).clip(1, items) - 1
        rows += [(user, item, int(rng.integers(0, days)) * DAY) for item in others]
    return table_of(*(np.array(column) for column in zip(*sorted(rows, key=lambda row: row[2]), strict=True)))


def steps(seed: int = 0, *, users: int = 200, items: int = 60, length: int = 12) -> pa.Table:
    """After an item comes the next one, four times in five: order is all that there is to know."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        item = int(rng.integers(items))
        for step in range(length):
            rows.append((user, item, (user % 30) * DAY + step * 60))
            item = (item + 1) % items if rng.random() < 0.8 else int(rng.integers(items))
    return table_of(*(np.array(column) for column in zip(*rows, strict=True)))


def follows_after(rows_back: int, *, users: int = 300, items: int = 40, length: int = 14) -> pa.Table:
    """After an item comes the next one, so many rows later, four times in five: rows between say nothing."""
    rng = np.random.default_rng(rows_back)
    item = rng.integers(0, items, (users, length))
    for position in range(rows_back, length):
        follows = rng.random(users) < 0.8
        item[follows, position] = (item[follows, position - rows_back] + 1) % items
    return _minute_by_minute(item)


def returns(*, users: int = 300, items: int = 200, length: int = 14) -> pa.Table:
    """Users take again what they had two rows ago, every second time; else any item."""
    rng = np.random.default_rng(4)
    item = rng.integers(0, items, (users, length))
    for position in range(2, length):
        is_return = rng.random(users) < 0.5
        item[is_return, position] = item[is_return, position - 2]
    return _minute_by_minute(item)


def _minute_by_minute(item: np.ndarray) -> pa.Table:
    """Users x rows of items, all users beginning at the same time."""
    users, length = item.shape
    return table_of(np.repeat(np.arange(users), length), item.ravel(), np.tile(np.arange(length) * 60, users))


def ratings(seed: int = 0, *, users: int = 150, items: int = 50, rows: int = 20) -> pa.Table:
    """Ratings from 1 to 5 of two tastes, with how strict a user and how good an item is, and noise."""
    rng = np.random.default_rng(seed)
    of_user, of_item = rng.normal(size=(users, 2)), rng.normal(size=(items, 2))
    strict, good = rng.normal(0, 0.5, users), rng.normal(0, 0.5, items)
    user = np.repeat(np.arange(users), rows)
    item = np.concatenate([rng.choice(items, rows, replace=False) for _ in range(users)])
    liking = 3.3 + strict[user] + good[item] + (of_user[user] * of_item[item]).sum(axis=1) * 0.7
    rating = np.clip(np.rint(liking + rng.normal(0, 0.4, len(user))), 1, 5)
    table = table_of(user, item, rng.integers(0, 100 * DAY, len(user)))
    return table.append_column("weight", pa.array(rating))


def table_of(user: np.ndarray, item: np.ndarray, seconds: np.ndarray) -> pa.Table:
    """Columns user_id, item_id, at."""
    return pa.table(
        {
            "user_id": [f"u{one}" for one in user.tolist()],
            "item_id": [f"i{one:03d}" for one in item.tolist()],
            "at": pa.array(seconds.astype(np.int64), pa.int64()).cast(pa.timestamp("s")),
        }
    )
