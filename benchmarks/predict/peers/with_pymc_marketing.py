"""The side of pymc-marketing in `value_peers.py`: its defaults, priors among them, with frames in memory.

Models are built and fitted once before anything is counted, so what pytensor compiled is on disk. It is still looked
up, rewritten and linked anew at each fit: that is counted, as its users wait for it, and reported separately.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arviz
import pandas as pd
import pymc
import pytensor
from pymc_marketing.clv import BetaGeoModel, ModifiedBetaGeoModel
from pymc_marketing.clv.utils import rfm_summary
from rounds import Job, serve

LETTERS = ["r", "alpha", "a", "b"]
COLUMNS = ["customer_id", "frequency", "recency", "T"]
COMPILING = ("compile_logp", "compile_dlogp", "compile_fn")


class Aside:
    """Processor seconds that a model spends on compiling, those of nested calls once."""

    def __init__(self) -> None:
        self.depth, self.seconds = 0, 0.0
        for name in COMPILING:
            setattr(pymc.Model, name, self.watched(getattr(pymc.Model, name)))

    def watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            since, self.depth = time.process_time(), self.depth + 1
            try:
                return method(*args, **named)
            finally:
                self.depth -= 1
                self.seconds += 0.0 if self.depth else time.process_time() - since

        return call

    def begin(self) -> None:
        self.seconds = 0.0


def fit(kind: type[Any]) -> Callable[[Path], Job]:
    """Find the most likely parameters given default priors, of a model that is already built."""

    def job(folder: Path) -> Job:
        model, aside = kind(), Aside()
        model.build_model(pd.read_parquet(folder / "full.parquet", columns=COLUMNS))

        def work() -> Any:
            aside.begin()
            return model.fit(method="map", progressbar=False)

        def results(found: Any) -> dict[str, float]:
            return {name: found.posterior[name].item() for name in LETTERS}

        return Job(work, results, aside_seconds=lambda: aside.seconds)

    return job


def summarise(name: str) -> Callable[[Path], Job]:
    """Summarise orders of a frame in memory."""

    def job(folder: Path) -> Job:
        orders = pd.read_parquet(folder / name, columns=["customer_id", "date", "value"])

        def work() -> pd.DataFrame:
            return rfm_summary(
                orders,
                "customer_id",
                "date",
                "value",
                observation_period_end="1997-09-30",
                time_unit="D",
                time_scaler=7,
            )

        return Job(work, results)

    def results(summary: pd.DataFrame) -> dict[str, float]:
        return {"customers": len(summary)} | summary.drop(columns="customer_id").mean().to_dict()

    return job


def posterior(folder: Path) -> Job:
    """Draw from the posterior by NUTS, chains one after another; a unit is a thousand effective draws (bulk)."""
    model = BetaGeoModel()
    model.build_model(pd.read_parquet(folder / "sample.parquet", columns=COLUMNS))
    seeds = iter(range(1, 1_000))

    def work() -> Any:
        return model.fit(draws=1_000, chains=4, cores=1, progressbar=False, random_seed=next(seeds))

    def warm() -> None:
        model.fit(draws=10, tune=10, chains=1, cores=1, progressbar=False, random_seed=1)

    def effective(found: Any) -> float:
        sizes = arviz.ess(found, var_names=LETTERS)
        return min(sizes[name].item() for name in LETTERS)

    def results(found: Any) -> dict[str, float]:
        return {"effective draws": effective(found)}

    return Job(work, results, done=lambda found: effective(found) / 1000, warm=warm)


JOBS = {
    "bgnbd": fit(BetaGeoModel),
    "mbgnbd": fit(ModifiedBetaGeoModel),
    "summary_text": summarise("orders_text.parquet"),
    "summary_number": summarise("orders_number.parquet"),
    "posterior": posterior,
}

if __name__ == "__main__":
    if not pytensor.config.cxx:
        raise SystemExit("there is no C++ compiler, without which pytensor is slower than it need be")
    serve(JOBS, "pymc-marketing", "pymc", "pytensor", "numpy", "pandas")
