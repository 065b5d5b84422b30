"""A shop over two Christmases, each x1.2 to x2 the usual: its total at three cutoffs, and whether the interval holds.

Usage: python benchmarks/predict/two_christmases.py [SHOPS=20]. Asked: a mean size of the bias of at most 8 % at each
cutoff, and 42 to 54 of 60 totals within their 80 % interval. Customers come all the time, and more in season; they
order by a gamma rate along the season until they leave, and spend by a gamma law: what is forecast is what comes of
those with an order before the cutoff. Nothing but chance differs from year to year, and the model assumes more.
"""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from past_forecasts import here, past_shop

from patron.estimators.learner import FORECAST
from patron.predict.value.buyer_spend import StackedSpend
from patron.predict.value.probability_times_spend import ProbabilityTimesSpend
from patron.schema.models.questions import VALUE
from patron.schema.numbers import float_column

START = datetime(2022, 9, 1)  # noqa: DTZ001 - the shop's own calendar
DAYS = 1003
CUTOFFS = {
    "summer, one Christmas seen": datetime(2024, 7, 1, tzinfo=UTC),
    "before the second": datetime(2024, 10, 1, tzinfo=UTC),
    "March after it": datetime(2025, 3, 1, tzinfo=UTC),
}
PEAKS = (1.2, 2.0)
LINES = """select customer_id, order_id, product_id, local_time, quantity, paid_cents, false as is_refund
    from read_parquet('{file}')"""


def main(shops: int) -> None:
    off: dict[str, list[float]] = {name: [] for name in CUTOFFS}
    held: list[bool] = []
    for seed in range(shops):
        peak = float(np.linspace(*PEAKS, shops)[seed]) if shops > 1 else PEAKS[1]
        for name, cutoff in CUTOFFS.items():
            share, is_held = forecast_at(seed, peak, cutoff)
            off[name].append(share)
            held.append(is_held)
            print(f"  shop {seed:2} x{peak:.2f} {name:28} {share:+.1%} {'holds' if is_held else 'MISSES'}", flush=True)
    for name, shares in off.items():
        print(f"{name:28} mean size of bias {np.abs(shares).mean():.1%} (<= 8 %), mean {np.mean(shares):+.1%}")
    print(f"80 % intervals of the total hold {sum(held)} of {len(held)} (42 to 54 of 60)")


def forecast_at(seed: int, peak: float, cutoff: datetime) -> tuple[float, bool]:
    """By how much the forecast total is off, as a share, and whether its interval holds what came."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines.parquet"
        pq.write_table(order_lines(seed, peak), file)
        shop = past_shop(LINES.format(file=file), cutoff, Path(folder) / "w")
        known = shop.known(VALUE)
        champion = ProbabilityTimesSpend(StackedSpend()).fit(known)
        came = float(shop.actual(VALUE, here(known)).sum())
        forecast = float(float_column(champion.predict(here(known)), FORECAST).sum())
        total = champion.total
        return forecast / came - 1, total.low_cents <= came <= total.high_cents


def order_lines(seed: int, peak: float, customers: int = 2500) -> pa.Table:
    """Order lines of one shop; `peak` is about what the 90 days around Christmas bring against 90 usual days."""
    rng = np.random.default_rng(seed)
    of_year = np.array([(START + timedelta(days=day)).timetuple().tm_yday for day in range(DAYS)])
    away = (of_year - 338 + 182) % 365 - 182
    season = 1 + 1.35 * (peak - 1) * np.exp(-0.5 * (away / rng.uniform(18, 32)) ** 2)
    season /= season[:365].mean()
    passed = np.concatenate([[0], np.cumsum(season)])
    coming = np.cumsum(np.where(np.arange(DAYS) < 60, 3.0, 1.0) * season)
    joined = np.searchsorted(coming / coming[-1], rng.random(customers)) + rng.random(customers)
    rate = rng.gamma(0.9, 1 / 0.9, customers) * rng.uniform(0.012, 0.03)
    lifetime = rng.exponential(1, customers) / rng.gamma(1.5, 1 / (1.5 * 450), customers)
    spend = 1500 / rng.gamma(3.5, 1 / 3.5, customers) * rng.uniform(1, 3)
    who, when = [np.arange(customers)], [joined]
    for customer in range(customers):
        ends = [joined[customer], min(joined[customer] + lifetime[customer], DAYS)]
        begin, end = np.interp(ends, np.arange(DAYS + 1), passed)
        count = rng.poisson(rate[customer] * (end - begin))
        when.append(np.interp(rng.uniform(begin, end, count), passed, np.arange(DAYS + 1)))
        who.append(np.full(count, customer))
    customer, day = np.concatenate(who), np.concatenate(when)
    order = np.argsort(day, kind="stable")
    customer, day = customer[order], day[order]
    cents = np.maximum(rng.gamma(4, spend[customer] / 4), 100).astype(np.int64)
    times = np.datetime64(START, "us") + (day * 86_400e6).astype("timedelta64[us]")
    return pa.table(
        {
            "customer_id": [f"c{one}" for one in customer],
            "order_id": [f"o{index}" for index in range(len(customer))],
            "product_id": [f"p{integer}" for integer in rng.integers(0, 40, len(customer))],
            "local_time": pa.array(times),
            "quantity": np.ones(len(customer), np.int64),
            "paid_cents": cents,
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
