"""Our side of `value_peers.py`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rounds import Job, serve

from patron.clv import BetaGeo, CountLearner, FittedBetaGeo, ModifiedBetaGeo, ParetoNBD, Posterior, rfm
from patron.clv import posterior as draws_of
from patron.clv.maximum_likelihood import Estimates

DRAWS = 4_000


def fit(learner: CountLearner) -> Callable[[Path], Job]:
    """Fit a model to a table in memory; standard errors and the check for drop-out are part of it."""

    def job(folder: Path) -> Job:
        summary = pq.read_table(folder / "full.parquet")
        return Job(lambda: learner.fit(summary), lambda model: model.params)

    return job


def simulate(folder: Path) -> Job:
    """Draw new customers and their orders; a unit is a million of them."""
    law = json.loads((folder / "law.json").read_text(encoding="utf-8"))
    T = pq.read_table(folder / "times.parquet")["T"].to_numpy()
    model, rng = FittedBetaGeo(Estimates(law)), np.random.default_rng(1)

    def results(table: pa.Table) -> dict[str, float]:
        return {
            "came back": np.mean(table["frequency"].to_numpy() > 0),
            "mean recency": pc.mean(table["recency"]).as_py(),
        }

    return Job(lambda: model.simulate(T, rng), results, done=lambda table: table.num_rows / 1e6)


def summarise(name: str) -> Callable[[Path], Job]:
    """Summarise orders of an Arrow table in memory."""

    def job(folder: Path) -> Job:
        orders = pq.read_table(folder / name)
        return Job(lambda: rfm(orders, until="1997-09-30", time="date"), results)

    def results(summary: pa.Table) -> dict[str, float]:
        names = ("frequency", "recency", "T", "monetary_value")
        return {"customers": summary.num_rows} | {name: pc.mean(summary[name]).as_py() for name in names}

    return job


def posterior(folder: Path) -> Job:
    """Draw from the posterior; a unit is a thousand effective draws of the parameter that has fewest."""
    summary = pq.read_table(folder / "sample.parquet")

    def work() -> Posterior:
        return draws_of(BetaGeo(), summary, rng=np.random.default_rng(1), draws=DRAWS)

    def effective(found: Posterior) -> float:
        return min(found.effective_sample_size.values())

    def results(found: Posterior) -> dict[str, float]:
        return {"effective draws": effective(found)}

    return Job(work, results, done=lambda found: effective(found) / 1000)


JOBS = {
    "bgnbd": fit(BetaGeo()),
    "mbgnbd": fit(ModifiedBetaGeo()),
    "paretonbd": fit(ParetoNBD()),
    "simulate": simulate,
    "summary_text": summarise("orders_text.parquet"),
    "summary_number": summarise("orders_number.parquet"),
    "posterior": posterior,
}

if __name__ == "__main__":
    serve(JOBS, "numpy", "scipy", "numba", "pyarrow")
