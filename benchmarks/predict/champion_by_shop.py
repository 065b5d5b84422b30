"""The champions of value and churn that a run chooses, next to each learner that it chooses from, on ten made shops.

Usage: python benchmarks/predict/champion_by_shop.py [SHOP ...] (by default all). The shops differ in what makes shops
different: how fast customers leave, how regularly they order, how unequal they are, whether the shop grows, has a
Christmas, lives of single orders, or changed half-way; no setting of a learner was chosen on them. One cutoff each, 400
days after the first order; gains of the champion are paired over customers, with 95 % intervals. All learners of
value add up to one total, so that their level is the same.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from past_forecasts import PastShop, here, past_shop

from patron.estimators.bootstrap import bootstrap_weights, paired_gain
from patron.estimators.learner import FORECAST, Fitted, Learner
from patron.predict.backtest import backtest
from patron.predict.learners import LEARNERS
from patron.predict.origins import cutoff_origins
from patron.predict.sampling import keys_of
from patron.predict.training import candidates
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CHURN, VALUE, Question
from patron.schema.numbers import Numbers, float_column

START = datetime(2023, 2, 1)  # noqa: DTZ001 - the shop's own calendar
DAYS, CUTOFF_DAY = 500, 400
LINES = """select customer_id, order_id, product_id, local_time, quantity, paid_cents, false as is_refund
    from read_parquet('{file}')"""


@dataclass(frozen=True)
class Nature:
    """What a shop is like."""

    customers: int = 2000
    orders_per_day: float = 0.02
    rate_shape: float = 0.9
    """Of the gamma law of rates; small means that customers differ much."""
    lifetime_days: float = 400.0
    single_share: float = 0.0
    """Customers who order once and never again."""
    gap_shape: int = 1
    """Of the Erlang law of gaps: 1 is at random, 8 nearly regular."""
    spend_tail: float = 3.5
    """Of the inverse gamma law of mean spend; below 2 a few pay most."""
    growth: float = 1.0
    """How many times more customers come per day at the end than in the beginning."""
    peak: float = 1.0
    """Orders per day around Christmas, against others."""
    later_rate: float = 1.0
    """What rates are multiplied by in the second half."""
    burst_share: float = 0.0
    """Customers who came in two weeks of a sale, and leave three times as fast."""


SHOPS: Mapping[str, Nature] = {
    "steady": Nature(),
    "losing customers": Nature(lifetime_days=120.0),
    "growing": Nature(growth=5.0),
    "Christmas": Nature(peak=2.2),
    "regular": Nature(gap_shape=8, orders_per_day=0.035, rate_shape=3.0),
    "a few pay most": Nature(spend_tail=1.4, rate_shape=0.5),
    "frequent": Nature(orders_per_day=0.12, customers=1200),
    "single orders": Nature(single_share=0.7),
    "slowed down": Nature(later_rate=0.5),
    "won by a sale": Nature(burst_share=0.5),
}


def main(names: Sequence[str]) -> None:
    behind: dict[tuple[str, str], int] = {}
    for place, (name, nature) in enumerate(SHOPS.items()):
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "lines.parquet"
            pq.write_table(order_lines(nature, seed=place + 300), file)
            cutoff = (START + timedelta(days=CUTOFF_DAY)).replace(tzinfo=UTC)
            shop = past_shop(LINES.format(file=file), cutoff, Path(folder) / "w")
            for question in (VALUE, CHURN):
                for learner, is_behind in compare(name, shop, question):
                    key = question.name, learner
                    behind[key] = behind.get(key, 0) + is_behind
    print("\nThe champion is behind, beyond noise:")
    for (question, learner), count in behind.items():
        print(f"  {question:6} {learner:28} {count}")


def compare(name: str, shop: PastShop, question: Question) -> list[tuple[str, bool]]:
    """Print each learner's metric and the champion's gain over it; whether it is behind, beyond noise."""
    known = shop.known(question)
    rows = here(known)
    learners = candidates(LEARNERS[question.name], known)
    actual, metric = shop.actual(question, rows), question.primary_metric
    weights = bootstrap_weights(keys_of(rows), rng=np.random.default_rng(1))
    forecasts = {one.name: forecast for one in learners if (forecast := fit(one, known, rows)) is not None}
    origins = cutoff_origins(question, shop.labelled(question), shop.as_of)
    champion = backtest(question, learners, origins, rng=np.random.default_rng(1)).champion
    chosen = forecasts[champion]
    print(f"\n{name}, {question.name}: {len(actual):,} customers, {actual.mean():.4g} on average, {metric.name}")
    print(f"  champion {champion} (usual: {question.default}), {len(origins)} past cutoffs")
    found = []
    for learner, forecast in forecasts.items():
        gain = paired_gain(metric, actual, chosen, forecast, weights=weights)
        is_behind = learner != champion and gain.high < 0
        mark = "  BEHIND" if is_behind else ""
        size = float(metric.of(actual, forecast))
        print(f"  {learner:28} {size:10.5g}  {gain.value:+.4g} [{gain.low:+.4g}, {gain.high:+.4g}]{mark}", flush=True)
        found.append((learner, is_behind))
    return found


def fit(learner: Learner, known: pa.Table, rows: pa.Table) -> Numbers | None:
    """A learner's forecast; None where it knows too little."""
    try:
        fitted = cast("Fitted", learner.fit(known))
    except NotEnoughData:
        return None
    return float_column(fitted.predict(rows), FORECAST)


def order_lines(nature: Nature, seed: int) -> pa.Table:
    """Order lines of a shop of this nature."""
    rng = np.random.default_rng(seed)
    count = nature.customers
    joined = np.searchsorted(
        np.cumsum(np.linspace(1, nature.growth, DAYS)), rng.random(count) * DAYS * (1 + nature.growth) / 2
    )
    is_of_sale = rng.random(count) < nature.burst_share
    joined = np.where(is_of_sale, rng.integers(200, 214, count), joined) + rng.random(count)
    rate = nature.orders_per_day * rng.gamma(nature.rate_shape, 1 / nature.rate_shape, count)
    lifetime = rng.exponential(nature.lifetime_days, count) / np.where(is_of_sale, 3.0, 1.0)
    lifetime[rng.random(count) < nature.single_share] = 0.0
    spend = 3000 * (nature.spend_tail - 1) / rng.gamma(nature.spend_tail, 1, count)
    clock = np.concatenate([[0], np.cumsum(speed_by_day(nature))])
    who, when = [np.arange(count)], [joined]
    for customer in range(count):
        ends = [joined[customer], min(joined[customer] + lifetime[customer], DAYS)]
        begin, end = np.interp(ends, np.arange(DAYS + 1), clock)
        gaps = rng.gamma(nature.gap_shape, 1 / (nature.gap_shape * max(rate[customer], 1e-6)), 400)
        at = begin + np.cumsum(gaps)
        at = np.interp(at[at < end], clock, np.arange(DAYS + 1))
        when.append(at)
        who.append(np.full(len(at), customer))
    customer, day = np.concatenate(who), np.concatenate(when)
    order = np.argsort(day, kind="stable")
    customer, day = customer[order], day[order]
    times = np.datetime64(START, "us") + (day * 86_400e6).astype("timedelta64[us]")
    return pa.table(
        {
            "customer_id": [f"c{one}" for one in customer],
            "order_id": [f"o{one}" for one in range(len(order))],
            "product_id": ["p"] * len(order),
            "local_time": pa.array(times, pa.timestamp("us")),
            "quantity": np.ones(len(order), dtype=np.int64),
            "paid_cents": np.maximum(rng.gamma(4, spend[customer] / 4), 100).astype(np.int64),
        }
    )


def speed_by_day(nature: Nature) -> Numbers:
    """How much faster than usual customers order on each day."""
    of_year = np.array([(START + timedelta(days=day)).timetuple().tm_yday for day in range(DAYS)])
    away = (of_year - 345 + 182) % 365 - 182
    season = 1 + (nature.peak - 1) * np.exp(-0.5 * (away / 18) ** 2)
    return season * np.where(np.arange(DAYS) < DAYS / 2, 1.0, nature.later_rate)


if __name__ == "__main__":
    main(sys.argv[1:])
