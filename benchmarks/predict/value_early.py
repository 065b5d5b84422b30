"""Online Retail with less than a year of history: what a run would have used, next to the best single models.

Usage: python benchmarks/predict/value_early.py FOLDER (with online_retail_2010_2011 as Parquet).
At each cutoff the champions of value and churn, chosen as a run chooses, against Pareto/NBD x Gamma-Gamma, Hybrid and
LightGBM with a Tweedie loss, each as it is: Gini, bias, winsorised RMSE and the AUC of churn, with paired intervals.
Then the customers' intervals by the randomised probability transform, and the level by number of orders and decile.
"""

import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from past_forecasts import PastShop, here, past_shop
from value_on_real_data import SOURCES

from patron.clv import GammaGamma, Hybrid, ParetoNBD, rfm
from patron.estimators.bootstrap import bootstrap_weights, paired_gain
from patron.estimators.learner import FORECAST
from patron.predict.backtest import ALL, Backtest, backtest, fit_champion
from patron.predict.learners import LEARNERS
from patron.predict.origins import cutoff_origins
from patron.predict.prediction_intervals import Outcomes
from patron.predict.sampling import keys_of
from patron.predict.value.boosted_value import Boosted
from patron.predict.value.btyd_inputs import OrdersAndSpend
from patron.schema.errors import NotEnoughData
from patron.schema.models import metrics
from patron.schema.models.questions import CHURN, VALUE, Question
from patron.schema.numbers import Numbers, float_column

RETAIL = "online_retail_2010_2011"
CUTOFFS = tuple(datetime(2011, *day, tzinfo=UTC) for day in ((6, 1), (7, 15), (9, 9)))
ORDERS = """
    select md5(customer_id) as customer_id, cast(local_time as date) as ordered_at, sum(paid_cents)::double as value
    from ({source}) where local_time < timestamp '{until}' group by all order by 1, 2"""
DAYS = 90.0


def main(folder: Path) -> None:
    source = SOURCES[RETAIL].format(file=Path(folder) / f"{RETAIL}.parquet")
    for cutoff in CUTOFFS:
        with tempfile.TemporaryDirectory() as made:
            show(past_shop(source, cutoff, Path(made) / "w"), source)


def show(shop: PastShop, source: str) -> None:
    known = shop.known(VALUE)
    rows = here(known)
    customers = keys_of(rows)
    value, champion = as_a_run_would(shop, VALUE, rows)
    churn, of_churn = as_a_run_would(shop, CHURN, rows)
    peers = peers_of(shop, source, known, rows)
    paid, left = shop.actual(VALUE, rows), shop.actual(CHURN, rows)
    print(f"\n{RETAIL} as of {shop.as_of:%Y-%m-%d}: {rows.num_rows:,} customers; value {champion}, churn {of_churn}")
    weights = bootstrap_weights(customers, rng=np.random.default_rng(1))
    forecasts = {champion: value} | {name: spend for name, (spend, _) in peers.items()}
    for metric in (metrics.NORMALISED_GINI, metrics.BIAS_SHARE, metrics.RMSE_WINSORISED):
        compare(metric, paid, forecasts, weights)
    chances = {of_churn: churn} | {name: chance for name, (_, chance) in peers.items() if chance is not None}
    compare(metrics.AUC, left, chances, weights)
    shop_intervals(shop, value, paid, 1 - churn, OrdersAndSpend.fit(rows).season.spread(shop.as_of))
    levels(rows, value, paid)


def as_a_run_would(shop: PastShop, question: Question, rows: pa.Table) -> tuple[Numbers, str]:
    """The champion's forecast, and its name."""
    result = tested(shop, question)
    learner, fitted = fit_champion(result, shop.known(question))
    return float_column(fitted.predict(rows), FORECAST), learner.name


def tested(shop: PastShop, question: Question) -> Backtest:
    origins = cutoff_origins(question, shop.labelled(question), shop.as_of)
    return backtest(question, LEARNERS[question.name], origins, rng=np.random.default_rng(1))


def peers_of(
    shop: PastShop, source: str, known: pa.Table, rows: pa.Table
) -> Mapping[str, tuple[Numbers, Numbers | None]]:
    """Forecast spend of each peer, and its probability of no order where it has one."""
    con = duckdb.connect()
    orders = con.sql(ORDERS.format(source=source, until=f"{shop.as_of:%Y-%m-%d}")).to_arrow_table()
    until = shop.as_of.date().fromordinal(shop.as_of.date().toordinal() - 1)
    summary = rfm(orders, until=until, unit="D")
    pareto = ParetoNBD().fit(summary)
    spend = pareto.expected_purchases(summary, DAYS) * GammaGamma().fit(summary).expected_spend(summary)
    stays_away = 1 - pareto.probability_of_purchase(summary, DAYS)
    hybrid = Hybrid(unit="D").fit(orders, until=until)
    none = hybrid.purchase_count_distribution(DAYS, most=2)[:, 0]
    peers: dict[str, tuple[Numbers, Numbers | None]] = {
        "Pareto/NBD x Gamma-Gamma": aligned(rows, summary["customer_id"], spend, stays_away),
        "Hybrid": aligned(rows, hybrid.customers, hybrid.expected_value(DAYS), none),
    }
    try:
        peers["LightGBM-Tweedie"] = (float_column(Boosted().fit(known).predict(rows), FORECAST), None)
    except NotEnoughData as error:
        print(f"  LightGBM-Tweedie: {error.what}")
    return peers


def aligned(rows: pa.Table, customers: pa.Array, *answers: Numbers) -> tuple[Numbers, Numbers]:
    """Answers in the order of rows; nothing, and no order, of who is not among the customers."""
    place = {customer: n for n, customer in enumerate(customers.to_pylist())}
    at = np.array([place.get(customer, -1) for customer in rows["customer_id"].to_pylist()])
    spend, chance = (
        np.where(at >= 0, answer[at], missing) for answer, missing in zip(answers, (0.0, 1.0), strict=True)
    )
    return spend, chance


def compare(metric: metrics.Metric, actual: Numbers, forecasts: Mapping[str, Numbers], weights: Numbers) -> None:
    (champion, own), *others = forecasts.items()
    print(f"  {metric.name:18} {champion:26} {float(metric.of(actual, own)):10.4g}")
    for name, forecast in others:
        gain = paired_gain(metric, actual, own, forecast, weights=weights)
        text = f"gain {gain.value:+.4g} [{gain.low:+.4g}, {gain.high:+.4g}]"
        behind = "  BEHIND" if gain.high < 0 else ""
        print(f"  {'':18} {name:26} {float(metric.of(actual, forecast)):10.4g}   {text}{behind}")


def shop_intervals(shop: PastShop, forecast: Numbers, paid: Numbers, buys: Numbers, spread: float) -> None:
    """80 % intervals learned from the past cutoffs: overall, by decile of the forecast, and of likely buyers."""
    result = tested(shop, VALUE)
    past = result.evaluations.get((ALL, result.champion))
    if past is None:
        print("  no past cutoff to learn intervals from")
        return
    learned = Outcomes.of(past.actual, past.forecast, spread)
    held = learned.holds(paid, forecast, np.random.default_rng(1))
    ends = learned.interval(forecast)
    if held is None or ends is None:
        print("  too few past forecasts to learn intervals from")
        return
    deciles = metrics.decile_of(forecast)
    each = " ".join(f"{held[deciles == one].mean():.2f}" for one in np.unique(deciles))
    raw = (paid >= ends[0]) & (paid <= ends[1])
    print(f"  80 % intervals by randomised PIT: {held.mean():.3f}; by decile {each}")
    print(f"  of those with P(order) > .5: {held[buys > 0.5].mean():.3f}")
    print(f"  between the ends {raw.mean():.3f}, of buyers {raw[paid > 0].mean():.3f}")


def levels(rows: pa.Table, forecast: Numbers, paid: Numbers) -> None:
    """Forecast over actual by number of order days, and by decile of the forecast, with bootstrap intervals."""
    days = float_column(rows, "order_day_count_lifetime")
    groups = {
        f"{low} to {high}": (days >= low) & (days <= high) for low, high in ((1, 1), (2, 2), (3, 4), (5, 9), (10, 999))
    }
    deciles = metrics.decile_of(forecast)
    groups |= {f"decile {one}": deciles == one for one in np.unique(deciles)}
    for name, group in groups.items():
        weights = bootstrap_weights(np.arange(group.sum()), rng=np.random.default_rng(1))
        ratio = forecast[group].sum() / max(paid[group].sum(), 1.0)
        drawn = (weights @ forecast[group]) / np.maximum(weights @ paid[group], 1.0)
        low, high = np.quantile(drawn, [0.025, 0.975])
        print(f"  {name:10} {group.sum():6,} customers: forecast over actual {ratio:.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
