"""CDNOW's holdout: orders and spend of 39 weeks from 39 weeks, the hybrid next to the counting models and baselines.

Usage: python benchmarks/predict/value_holdout.py FOLDER (with cdnow_master as Parquet). Everything is fitted to what
was known when the holdout began. Other cuts of the same years, and Online Retail, show whether it holds elsewhere.
"""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from patron.clv import NBD, BetaGeo, GammaGamma, Hybrid, ModifiedBetaGeo, ParetoNBD, rfm
from patron.estimators.bootstrap import bootstrap_weights
from patron.schema.models import metrics

CUTS = (
    ("CDNOW", date(1997, 9, 30), date(1998, 6, 30)),
    ("CDNOW", date(1997, 12, 31), date(1998, 6, 30)),
    ("Online Retail", date(2011, 6, 30), date(2011, 9, 28)),
    ("Online Retail", date(2011, 9, 10), date(2011, 12, 9)),
)
ASKED = {"rmse": "<= 1.70", "bias_share": "-.05 to .05", "normalised_gini": ">= .675", "spend decile_mape": "<= .20"}
METRICS = (
    metrics.RMSE,
    metrics.MAE,
    metrics.BIAS_SHARE,
    metrics.NORMALISED_GINI,
    metrics.SPEARMAN,
    metrics.DECILE_MAPE,
)
RESAMPLES = 200


def main(folder: Path) -> None:
    for name, until, end in CUTS:
        show(name, orders_of(name, Path(folder)), until, end)


def orders_of(name: str, folder: Path) -> pa.Table:
    if name == "CDNOW":
        return pq.read_table(folder / "cdnow_master.parquet").rename_columns({"date": "ordered_at"})
    table = pq.read_table(folder / "online_retail_2010_2011.parquet")
    identified = table.filter(pa.compute.is_valid(table["CustomerID"]))
    amounts = np.asarray(identified["Quantity"].to_numpy(), float) * identified["UnitPrice"].to_numpy()
    columns = {
        "customer_id": identified["CustomerID"],
        "ordered_at": identified["InvoiceDate"].cast(pa.timestamp("us")),
    }
    return pa.table(columns | {"value": amounts})


def show(name: str, orders: pa.Table, until: date, end: date) -> None:
    summary = rfm(orders, until=until, holdout_until=end)
    weeks = (end - until).days / 7
    came = summary["frequency_holdout"].to_numpy()
    spent = came * summary["monetary_value_holdout"].to_numpy()
    print(f"\n{name}: {summary.num_rows:,} customers until {until}, {weeks:g} weeks after")
    hybrid = Hybrid().fit(orders, until=until)
    place = {customer: n for n, customer in enumerate(hybrid.customers.to_pylist())}
    rows_of_summary = np.array([place[customer] for customer in summary["customer_id"].to_pylist()])
    order_forecasts = {one.name: one.fit(summary).expected_purchases(summary, weeks) for one in MODELS}
    frequency = summary["frequency"].to_numpy()
    before = frequency * (weeks / float(summary["T"].to_numpy().max()))
    order_forecasts |= {"as before": before, "zero": np.zeros(len(came)), "mean": np.full(len(came), before.mean())}
    each = GammaGamma().fit(summary).expected_spend(summary)
    spend_forecasts = {model: expected * each for model, expected in order_forecasts.items() if model in NAMES}
    rows = {"hybrid": hybrid.expected_purchases(weeks)[rows_of_summary]} | order_forecasts
    table("orders", came, rows, summary)
    table("spend", spent, {"hybrid": hybrid.expected_value(weeks)[rows_of_summary]} | spend_forecasts, summary)
    coverage(hybrid.purchase_count_distribution(weeks, most=300)[rows_of_summary], came.astype(int), rows["hybrid"])


MODELS = (ParetoNBD(), BetaGeo(), ModifiedBetaGeo(), NBD())
NAMES = {one.name for one in MODELS}


def table(what: str, actual: np.ndarray, forecasts: dict[str, np.ndarray], summary: pa.Table) -> None:
    customers = np.array(summary["customer_id"].to_pylist(), dtype=np.str_)
    weights = bootstrap_weights(customers, rng=np.random.default_rng(1))[:RESAMPLES]
    print(f"  {what:16}" + "".join(f"{metric.name:>26}" for metric in METRICS))
    for model, forecast in forecasts.items():
        cells = []
        for metric in METRICS:
            value = float(metric.of(actual, forecast))
            low, high = np.quantile(metric.of(actual, forecast, weights), [0.025, 0.975])
            cells.append(f"{value:.4g} [{low:.4g}, {high:.4g}]")
        print(f"  {model:16}" + "".join(f"{cell:>26}" for cell in cells))


def coverage(chances: np.ndarray, came: np.ndarray, expected: np.ndarray) -> None:
    """80 % intervals: by the randomised transform, and as they are, equal-tailed on whole numbers."""
    below = np.concatenate([np.zeros((len(came), 1)), np.cumsum(chances, axis=1)], axis=1)
    rows = np.arange(len(came))
    transform = below[rows, came] + np.random.default_rng(0).random(len(came)) * chances[rows, came]
    covered = (transform > 0.1) & (transform < 0.9)
    deciles = metrics.decile_of(expected)
    each = [f"{covered[deciles == one].mean():.3f}" for one in np.unique(deciles)]
    low, high = ((below[:, 1:] >= share).argmax(axis=1) for share in (0.1, 0.9))
    raw = ((came >= low) & (came <= high)).mean()
    print(f"  80 % intervals of orders: {covered.mean():.3f} covered by randomised PIT, by decile {' '.join(each)}")
    print(f"  raw coverage {raw:.3f}, mean width {(high - low).mean():.2f} orders")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
