"""The side of lifetimes in `value_peers.py`: called as its manual does, with frames in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter
from lifetimes.generate_data import beta_geometric_nbd_model
from lifetimes.utils import summary_data_from_transaction_data
from rounds import Job, serve


def fit(fitter: type[Any]) -> Callable[[Path], Job]:
    """Fit a model to a frame in memory."""

    def job(folder: Path) -> Job:
        summary = pd.read_parquet(folder / "full.parquet", columns=["frequency", "recency", "T"])

        def work() -> Any:
            return fitter().fit(summary["frequency"], summary["recency"], summary["T"])

        return Job(work, lambda model: dict(model.params_))

    return job


def simulate(folder: Path) -> Job:
    """Draw new customers, a loop over them; a unit is a million of them."""
    law = json.loads((folder / "law.json").read_text(encoding="utf-8"))
    T = pd.read_parquet(folder / "fewer_times.parquet")["T"].to_numpy()
    np.random.seed(1)  # noqa: NPY002 - the generator that lifetimes draws from

    def results(frame: pd.DataFrame) -> dict[str, float]:
        return {"came back": (frame["frequency"] > 0).mean(), "mean recency": frame["recency"].mean()}

    return Job(
        lambda: beta_geometric_nbd_model(T, **law, size=len(T)),
        results,
        done=lambda frame: len(frame) / 1e6,
        warm=lambda: beta_geometric_nbd_model(T[:1000], **law, size=1000),
    )


def summarise(name: str) -> Callable[[Path], Job]:
    """Summarise orders of a frame in memory."""

    def job(folder: Path) -> Job:
        orders = pd.read_parquet(folder / name, columns=["customer_id", "date", "value"])

        def work() -> pd.DataFrame:
            return summary_data_from_transaction_data(
                orders,
                "customer_id",
                "date",
                "value",
                observation_period_end="1997-09-30",
                freq="D",
                freq_multiplier=7,
            )

        return Job(work, results)

    def results(summary: pd.DataFrame) -> dict[str, float]:
        return {"customers": len(summary)} | summary.mean().to_dict()

    return job


JOBS = {
    "bgnbd": fit(BetaGeoFitter),
    "mbgnbd": fit(ModifiedBetaGeoFitter),
    "paretonbd": fit(ParetoNBDFitter),
    "simulate": simulate,
    "summary_text": summarise("orders_text.parquet"),
    "summary_number": summarise("orders_number.parquet"),
}

if __name__ == "__main__":
    serve(JOBS, "lifetimes", "numpy", "scipy", "pandas")
