"""How good the forecast of contracts that are not renewed is, in simulated shops whose reasons are planted.

Usage: python benchmarks/predict/contract_churn.py [CUSTOMERS] [SHOPS] [DAYS] [FIRST_SEED]. Half of the customers sign
a contract; the truth says with what probability each is not renewed (`contract_truth`). Origins, learners and rules
are those of a run: the newest three cutoffs, each learned from contracts whose days of grace were over. Fixed before
any was measured: log loss and calibration error of all shops together, next to the three rules; 95 % intervals by
resampling customers. Calibration error is above zero for a forecast that is right too, the more the fewer rows and
the more forecasts differ: printed next to it is what it would be if each forecast were right (outcomes drawn from it;
mean and 95 % range), and the slope of log-odds: 1 where forecasts spread as outcomes do, above 1 where they are too
cautious. The truth knows who left until ten days before the end, which nobody knows at the cutoff: no model reaches
it. `after_cancellation` and the calibration on all cutoffs were chosen on seeds 1 to 12; later ones are fresh.
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron import predict, understand
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.estimators.bootstrap import Interval, bootstrap_weights, interval, paired_gain
from patron.estimators.calibration import Calibration
from patron.estimators.learner import FORECAST, LABEL
from patron.predict.contract_churn import AVERAGED, LEARNERS
from patron.predict.contract_churn.contract_rows import contract_rows, learning_rows
from patron.predict.origins import cutoff_origins
from patron.predict.sampling import keys_of
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.metrics import AUC, CALIBRATION_ERROR, LOG_LOSS
from patron.schema.models.questions import CONTRACT_CHURN
from patron.schema.numbers import Numbers, float_column
from patron.simulate.ground_truth import contract_truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

SEED, DRAWS = 7, 400
TRUTH = "the truth"


@dataclass(frozen=True)
class Evaluated:
    """Contracts that ended after the origins of one or more shops: who held them, what happened, every forecast."""

    customers: npt.NDArray[np.str_]
    actual: Numbers
    forecasts: Mapping[str, Numbers]


def main(customers: int = 1_500, shops: int = 3, days: int = 540, first_seed: int = 1) -> None:
    """Measure and print."""
    seeds = range(first_seed, first_seed + shops)
    parts = [evaluate(*simulate_rows(customers, seed, days), seed) for seed in seeds]
    show(
        Evaluated(
            np.concatenate([part.customers for part in parts]),
            np.concatenate([part.actual for part in parts]),
            {name: np.concatenate([part.forecasts[name] for part in parts]) for name in parts[0].forecasts},
        )
    )


def simulate_rows(customers: int, seed: int, days: int) -> tuple[pa.Table, pa.Table, Run]:
    """Contracts that end after the cutoffs of a run of a simulated shop whose label is known, and the truth."""
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=customers, contract_share=0.5), seed)
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.create(Path(folder) / "w")
        write_rules(shop.folder, world.settings, budget_cents=0)
        ingest_events(shop, world.history(days), received_at=world.now)
        run = Run.at(world.now, zone="UTC")
        view = stage_view(shop, understand, run=run)
        for build in (build_facts, build_run_cutoffs, build_features):
            build(view)
        rows = learning_rows(contract_rows(stage_view(shop, predict, run=run)))
        shop.close()
    return rows, contract_truth(world), run


def evaluate(rows: pa.Table, truth: pa.Table, run: Run, seed: int) -> Evaluated:
    """Forecasts of every learner at a run's origins, and the probability that is planted."""
    planted = {
        (row["contract_id"], row["ends_at"]): row["not_renewed_share"]
        for row in truth.select(["contract_id", "ends_at", "not_renewed_share"]).to_pylist()
    }
    origins = cutoff_origins(CONTRACT_CHURN, rows, run.as_of)
    here = pa.concat_tables([origin.test_rows for origin in origins])
    forecasts = {
        learner.name: np.concatenate(
            [float_column(learner.fit(origin.known()).predict(origin.test_rows), FORECAST) for origin in origins]
        )
        for learner in LEARNERS
    }
    keys = zip(here["contract_id"].to_pylist(), here["ends_at"].to_pylist(), strict=True)
    forecasts[TRUTH] = np.array([planted[key] for key in keys])
    actual = float_column(here, LABEL)
    print(f"shop {seed}: {rows.num_rows:,} ended terms, {float_column(rows, LABEL).sum():.0f} not renewed; judged "
          f"{len(actual):,} at {len(origins)} cutoffs, {actual.sum():.0f} not renewed", flush=True)  # fmt: skip
    return Evaluated(np.char.add(f"{seed}/", keys_of(here).astype(str)), actual, forecasts)


def show(shops: Evaluated) -> None:
    """Every forecast, then the paired gains of the default over each rule and the average of all contracts."""
    actual, weights = shops.actual, bootstrap_weights(shops.customers, rng=np.random.default_rng(SEED))
    print(f"{len(actual):,} terms of {len(np.unique(shops.customers)):,} customers, {actual.mean():.1%} not renewed")
    for name, forecast in shops.forecasts.items():
        cells = [f"{m.name} {text(interval(m, actual, forecast, weights=weights))}" for m in (LOG_LOSS, AUC)]
        error = interval(CALIBRATION_ERROR, actual, forecast, weights=weights)
        slope = Calibration.fit(np.log(forecast) - np.log1p(-forecast), actual).slope
        print(f"  {name:22}{'  '.join(cells)}\n    {CALIBRATION_ERROR.name} {text(error)}, of a calibrated forecast "
              f"{text(error_if_right(forecast))}, slope {slope:.2f}")  # fmt: skip
    default = shops.forecasts[CONTRACT_CHURN.default]
    for other in (*CONTRACT_CHURN.baselines, AVERAGED.name):
        for metric in (LOG_LOSS, CALIBRATION_ERROR):
            gain = paired_gain(metric, actual, default, shops.forecasts[other], weights=weights)
            print(f"  {CONTRACT_CHURN.default} over {other:22} {metric.name:18} {text(gain)}")


def error_if_right(forecast: Numbers) -> Interval:
    """Calibration error where outcomes come true as the forecast says: mean, and the middle 95 % of draws."""
    rng = np.random.default_rng(SEED)
    errors = [CALIBRATION_ERROR.of((rng.random(len(forecast)) < forecast) * 1.0, forecast) for _ in range(DRAWS)]
    return Interval(float(np.mean(errors)), *(float(end) for end in np.quantile(errors, [0.025, 0.975])))


def text(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
