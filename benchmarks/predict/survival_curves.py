"""Whether survival curves come true, in simulated shops: forecast against actual by decile, next to the life table.

Usage: python benchmarks/predict/survival_curves.py [CUSTOMERS] [SHOPS] [DAYS]. Each shop lives for DAYS (720 ends just
before Christmas), then curves are forecast for every active customer and wait for 360 days that no model knows. What
follows the churn forecast is also shown alone, of who ordered in the first 90 days. Fixed before any was measured: the
baselines are the churn forecast carried on by the life table (every customer falls at the same rate after 90 days), and
the mean curve for everybody. Customers are resampled in 95 % intervals; those of deciles are Wilson's.
"""

import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from patron import predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.estimators.bootstrap import bootstrap_weights, paired_gain
from patron.predict.scoring import answer, read_features
from patron.predict.survival.hazard_backtest import backtest_hazards, fit_learner
from patron.predict.survival.landmarks import active_customers, read_landmarks
from patron.predict.survival.survival_curves import survival
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.metrics import BRIER, CALIBRATION_ERROR, LOG_LOSS
from patron.schema.models.questions import CHURN
from patron.schema.models.survival import HORIZONS_DAYS, PAUSE_PERIODS, PERIOD_DAYS
from patron.schema.numbers import Numbers, float_column
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import SimulatorSettings
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

PERIODS = HORIZONS_DAYS[-1] // PERIOD_DAYS
SEED = 20251221


@dataclass(frozen=True)
class Shops:
    """Customers of all shops: who was active at the end of each period, and what each forecast said, 0 to 1."""

    actual: Numbers
    forecasts: dict[str, Numbers]


def main(customers: int = 1_500, shops: int = 3, days: int = 720) -> None:
    """Measure and print."""
    parts = [measure(customers, seed, days) for seed in range(1, shops + 1)]
    names = parts[0].forecasts
    every = Shops(
        np.concatenate([part.actual for part in parts]),
        {name: np.concatenate([part.forecasts[name] for part in parts]) for name in names},
    )
    print(f"{len(every.actual):,} active customers of {shops} shops")
    for horizon in HORIZONS_DAYS:
        show(every, horizon)


def measure(customers: int, seed: int, days: int) -> Shops:
    """One shop: forecasts after so many days, and what happened in the next 360."""
    world = ShopSimulator(SimulatorSettings(customers=customers), seed)
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.create(Path(folder) / "w")
        write_rules(shop.folder, world.settings, budget_cents=0)
        ingest_events(shop, world.history(days), received_at=world.now)
        run = Run.at(world.now, zone="UTC")
        view = stage_view(shop, understand, run=run)
        for build in (build_facts, build_run_cutoffs, build_features):
            build(view)
        ids, forecasts = forecast(stage_view(shop, predict, run=run))
        until = world.now + timedelta(days=HORIZONS_DAYS[-1])
        ingest_events(shop, world.advance(until), received_at=until)
        later = stage_view(shop, understand, run=Run.at(until, zone="UTC"))
        build_facts(later)
        actual = still_active(stage_view(shop, predict, run=later.run), ids, run.as_of)
        shop.close()
    return Shops(actual, forecasts)


def forecast(view: StageView) -> tuple[pa.Table, dict[str, Numbers]]:
    """Customers, and P(active) at the end of each period from the third on, by each forecast."""
    scores = answer(view, CHURN, read_features(view, "features")).scores.select(["customer_id", "value"])
    first_at = view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()
    landmarks = read_landmarks(view, first_at)
    result = backtest_hazards(landmarks, HORIZONS_DAYS[1:], seed=SEED)
    print(f"champion: {result.champion}")
    active = active_customers(view).join(scores, "customer_id", join_type="inner").sort_by("customer_id")
    chances, known = float_column(active, "value"), landmarks.known_at(0)
    forecasts = {
        name: survival(chances, fit_learner(learner, known, seed=SEED), active, PERIODS)
        for name, learner in (("curve", result.champion), ("churn, then life table", "life_table"))
    }
    forecasts["the mean for everybody"] = np.tile(forecasts["curve"].mean(axis=0), (len(chances), 1))
    return active.select(["customer_id"]), forecasts


def still_active(view: StageView, ids: pa.Table, as_of: datetime) -> Numbers:
    """1 where no pause of three empty periods has ended by the end of each period from the third on."""
    start = int(as_of.timestamp())
    sql = f"""
select i.customer_id, cast(floor((seconds_of(o.occurred_at) - {start}) / {86400.0 * PERIOD_DAYS}) as bigint) as period
from ids i join orders o on o.customer_id = i.customer_id where seconds_of(o.occurred_at) >= {start}"""
    orders = view.query(sql, ids=ids)
    place = {customer: at for at, customer in enumerate(ids["customer_id"].to_pylist())}
    is_empty = np.ones((len(place), PERIODS), dtype=bool)
    for customer, period in zip(*(orders[name].to_pylist() for name in ("customer_id", "period")), strict=True):
        if period < PERIODS:
            is_empty[place[customer], period] = False
    pauses = is_empty[:, 2:] & is_empty[:, 1:-1] & is_empty[:, :-2]
    return 1.0 - np.maximum.accumulate(pauses, axis=1)


def show(shops: Shops, days: int) -> None:
    """Deciles, and gains over the baselines."""
    at = days // PERIOD_DAYS - PAUSE_PERIODS
    actual = shops.actual[:, at]
    curve = shops.forecasts["curve"][:, at]
    weights = bootstrap_weights(np.arange(len(actual)), rng=np.random.default_rng(SEED))
    error = CALIBRATION_ERROR.of(actual, curve)
    print(f"\n{days} days: forecast {curve.mean():.3f}, actual {actual.mean():.3f}, calibration error {error:.3f}")
    stayed = shops.actual[:, 0] > 0
    later = curve[stayed] / shops.forecasts["curve"][stayed, 0]
    print(f"  of who ordered in the first 90 days: forecast {later.mean():.3f}, actual {actual[stayed].mean():.3f}")
    for decile in np.array_split(np.argsort(curve, kind="stable"), 10):
        share, low, high = wilson(actual[decile])
        mark = "" if low <= curve[decile].mean() <= high else "  outside"
        print(f"  forecast {curve[decile].mean():.3f}  actual {share:.3f} [{low:.3f}, {high:.3f}]{mark}")
    for name, others in shops.forecasts.items():
        if name == "curve":
            continue
        for metric in (LOG_LOSS, BRIER):
            gain = paired_gain(metric, actual, curve, others[:, at], weights=weights)
            value = metric.of(actual, curve)
            print(f"  {metric.name} {value:.4f}, gain over {name} {gain.value:.4f} [{gain.low:.4f}, {gain.high:.4f}]")


def wilson(actual: Numbers) -> tuple[float, float, float]:
    count, share, z = len(actual), float(actual.mean()), 1.96
    middle, scale = share + z * z / (2 * count), 1 + z * z / count
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return share, (middle - half) / scale, (middle + half) / scale


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
