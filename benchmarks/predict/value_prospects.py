"""What new customers are worth, on a simulated shop that grows: how well each forecast ranks them, judged by time.

Three groups: those whose first order is a few days old (the champion of `value`), people whom the shop can name but who
have not ordered yet (`patron prospects`), and everybody a minute after the shop could first name them. Each forecast
stands beside the mean of all (Gini 0) and the mean of the channel that won the customer.

What they declared alone (income, household, channels) is shown apart: it says little about who orders later.

Usage: python benchmarks/predict/value_prospects.py [--full] (--full: three seeds, and all of them together)
"""

import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from value_on_real_data import with_churn

from patron import understand
from patron.commands.data.simulated_loop import ingest_events
from patron.estimators.bootstrap import bootstrap_weights, interval, paired_gain
from patron.estimators.learner import FORECAST, LABEL
from patron.predict import scoring, value
from patron.predict.backtest import ALL, Backtest, backtest, cutoffs_for
from patron.predict.origins import Forecasts, at, cutoff_origins, known_at_origin
from patron.predict.prospects import LEARNERS
from patron.predict.prospects.prospect_learners import MeanByChannel, Prospects
from patron.schema.models.metrics import BIAS_SHARE, NORMALISED_GINI
from patron.schema.models.questions import PROSPECTS, VALUE
from patron.schema.numbers import float_column
from patron.schema.tables import BY_NAME
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, SimulatorSettings
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.features import build_features
from patron.understand.prospects import prospects_at, prospects_by_age

GROWING = replace(DEFAULT_SHOP, customers=4_000, arrivals_per_month_share=0.25)
"""The default shop, with enough arrivals a month to judge prospects of several months."""
WAITING = replace(GROWING, signup_without_order_share=0.4)
"""The same where more people sign up without ordering that day: the default's 10 % are few to learn from."""
DAYS = 420
SEEDS = (11, 12, 13)
"""Not those that the learner's settings were tried on (1 and 2)."""
MINUTE = timedelta(minutes=1)
AGES_DAYS = (7, 30)


Found = dict[str, tuple[Forecasts, np.ndarray]]
"""By group and learner: what was forecast, and what the mean of the channel would have been."""


def main() -> None:
    seeds = SEEDS if "--full" in sys.argv else SEEDS[:1]
    for name, settings in (("growing", GROWING), ("waiting", WAITING)):
        share = settings.signup_without_order_share
        print(f"\n{name} shop: {share:.0%} of those who sign up do not order that day; {DAYS} days, seeds {seeds}")
        print(f"{'':66}{'judged':>7}  normalised Gini [95 %]   over channel's mean        bias")
        found: dict[str, list[tuple[Forecasts, np.ndarray]]] = {}
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                for what, forecasts in forecasts_in(settings, seed, Path(folder) / "w").items():
                    found.setdefault(what, []).append(forecasts)
        for what, parts in found.items():
            line(what, together([one for one, _ in parts]), np.concatenate([channel for _, channel in parts]))


def forecasts_in(settings: SimulatorSettings, seed: int, folder: Path) -> Found:
    view = simulated_view(settings, seed, folder)
    return (first_orders(view) if settings == GROWING else {}) | without_order(view) | at_once(view)


def together(parts: list[Forecasts]) -> Forecasts:
    """Several shops' forecasts as one; customers of two shops are never the same."""
    keys = [one.customers * len(parts) + shop for shop, one in enumerate(parts)]
    actual, forecast = (np.concatenate([getattr(part, name) for part in parts]) for name in ("actual", "forecast"))
    return Forecasts(np.concatenate(keys), actual, forecast)


def simulated_view(settings: SimulatorSettings, seed: int, folder: Path) -> StageView:
    """A workspace with the facts, cutoffs and features of everything the world has sent."""
    shop, world = Shop.create(folder), ShopSimulator(settings, seed)
    while world.day < DAYS:
        events = world.history(30)
        ingest_events(shop, events, received_at=world.now)
    run = Run.at(world.now)
    fact_view = shop.view(understand.READS, understand.WRITES, run=run)
    build_facts(fact_view)
    build_cutoffs(fact_view, build_run_cutoffs(fact_view, "orders"))
    build_features(fact_view)
    return shop.view(BY_NAME, [], run=run)


def build_run_cutoffs(view: StageView, facts: str) -> list[datetime]:
    return cutoffs_for(view.run.as_of, view.query(f"select min(known_at) as first from {facts}")["first"][0].as_py())


def first_orders(view: StageView) -> Found:
    """Of the backtest of value: those whose first and only order day is a few days old."""
    rows = scoring.rows_to_learn(view, VALUE, with_churn(view))
    result = backtest(
        VALUE, value.CANDIDATES, cutoff_origins(VALUE, rows, view.run.as_of), rng=np.random.default_rng(1)
    )
    here = judged_rows(rows, result)
    channel = by_channel(rows, result)
    found = {}
    for days in AGES_DAYS:
        new = (float_column(here, "days_since_first_order") < days) & (
            float_column(here, "order_day_count_lifetime") == 1
        )
        for learner in ("stacked_spend", "pareto_spend"):
            found[f"first order under {days} days ago: {learner}"] = (of(result, learner, new), channel[new])
    return found


def without_order(view: StageView) -> Found:
    """People without an order, at the cutoffs of a run."""
    rows = scoring.with_labels(view, PROSPECTS, prospects_at(view, build_run_cutoffs(view, "identities")))
    result = backtest(
        PROSPECTS, LEARNERS, cutoff_origins(PROSPECTS, rows, view.run.as_of), rng=np.random.default_rng(1)
    )
    told_only = backtest(
        PROSPECTS, LEARNERS, cutoff_origins(PROSPECTS, declared(rows), view.run.as_of), rng=np.random.default_rng(1)
    )
    age = float_column(judged_rows(rows, result), "days_since_known")
    channel = result.evaluations[ALL, MeanByChannel.name].forecast
    found = {}
    for days in (7, 90):
        new = age <= days
        for name, one in (("mean_by_channel", result), ("prospects", result), ("prospects", told_only)):
            what = f"{name}, declared only" if one is told_only else name
            found[f"no order, known for up to {days} days: {what}"] = (of(one, name, new), channel[new])
    return found


def at_once(view: StageView) -> Found:
    """Each person a minute after they were first known; learned from those whose 90 days were over by the cut."""
    rows = scoring.with_labels(view, PROSPECTS, prospects_by_age(view, MINUTE))
    horizon = timedelta(days=PROSPECTS.horizon_days)
    cut = pa.scalar(view.run.as_of - 2 * horizon, rows.schema.field("as_of").type)
    before = rows.filter(pc.less_equal(pc.add(rows["as_of"], pa.scalar(horizon, pa.duration("us"))), cut))
    after = rows.filter(pc.and_(pc.greater_equal(rows["as_of"], cut), pc.is_valid(rows[LABEL])))
    customers, actual = np.array(after["customer_id"].to_pylist()), float_column(after, LABEL)
    channel = float_column(MeanByChannel().fit(before).predict(after), FORECAST)
    whole = float_column(Prospects().fit(before).predict(after), FORECAST)
    told_only = float_column(Prospects().fit(declared(before)).predict(after), FORECAST)
    forecasts = {"mean_by_channel": channel, "prospects": whole, "prospects, declared only": told_only}
    return {
        f"a minute after they were known: {name}": (Forecasts(customers, actual, forecast), channel)
        for name, forecast in forecasts.items()
    }


def declared(rows: pa.Table) -> pa.Table:
    """What people declared at registration, without what they did."""
    kept = [name for name in rows.column_names if name.startswith("declared_")]
    return rows.select(["customer_id", "as_of", LABEL, *kept])


def judged_rows(rows: pa.Table, result: Backtest) -> pa.Table:
    cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
    return pa.concat_tables([at(rows, cutoffs[origin]) for origin in result.origins])


def by_channel(rows: pa.Table, result: Backtest) -> np.ndarray:
    """The mean of the acquisition channel, of customers in their first 30 days, at each origin of a backtest."""
    cutoffs = {cutoff.strftime("%Y-%m-%d"): cutoff for cutoff in set(rows["as_of"].to_pylist())}
    forecast = []
    for origin in result.origins:
        known = known_at_origin(rows, cutoffs[origin], PROSPECTS.horizon_days)
        fresh = known.filter(pc.less(known["days_since_first_order"], 30))
        forecast.append(float_column(MeanByChannel().fit(fresh).predict(at(rows, cutoffs[origin])), FORECAST))
    return np.concatenate(forecast)


def of(result: Backtest, learner: str, which: np.ndarray) -> Forecasts:
    forecasts = result.evaluations[ALL, learner]
    return Forecasts(forecasts.customers[which], forecasts.actual[which], forecasts.forecast[which])


def line(what: str, forecasts: Forecasts, channel: np.ndarray) -> None:
    weights = bootstrap_weights(forecasts.customers, rng=np.random.default_rng(1), resamples=1000)
    found = interval(NORMALISED_GINI, forecasts.actual, forecasts.forecast, weights=weights)
    gain = paired_gain(NORMALISED_GINI, forecasts.actual, forecasts.forecast, channel, weights=weights)
    bias = float(BIAS_SHARE.of(forecasts.actual, forecasts.forecast))
    print(
        f"{what:66}{len(forecasts.actual):7,}  {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        f"   {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]  {bias:+.1%}"
    )


if __name__ == "__main__":
    main()
