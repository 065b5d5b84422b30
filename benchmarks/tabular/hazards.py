"""`patron.tabular.hazards` on Telco churn next to the life table and Cox (lifelines), and its speed.

`python benchmarks/tabular/hazards.py FOLDER` of `telco_churn.parquet`; `--speed` measures 1,000,000 person-periods of
100 features instead. Cox needs lifelines, which is not installed with Patron.
"""

import resource
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from patron.tabular.hazards import FittedHazards, evaluate_hazards, fit_hazards

SEEDS, FOLDS = (0, 1), 5
COLUMNS: dict[str, Any] = {"duration": "tenure", "event": "Churn", "id": "customerID"}
OUTCOME = ["TotalCharges"]
"""Grows with tenure: it is not known at the start."""
METRICS = ("concordance", "concordance_uncensored", "integrated_brier", "log_loss")


def seconds_of(action: Any) -> tuple[Any, str]:
    """A result with its seconds, on the clock and of the processor: others may be at work."""
    since, used = time.perf_counter(), time.process_time()
    result = action()
    return result, f"{time.perf_counter() - since:.1f} s (CPU {time.process_time() - used:.1f} s)"


def telco(table: pa.Table) -> None:
    print(f"Telco churn, {len(SEEDS)} x {FOLDS} folds of customers; {', '.join(OUTCOME)} left out")
    table = table.drop_columns(OUTCOME)
    values: dict[tuple[str, str], list[float]] = {}
    beats: dict[tuple[str, str], int] = {}
    for seed in SEEDS:
        fold = np.random.default_rng(seed).permutation(table.num_rows) % FOLDS
        for index in range(FOLDS):
            training, judged = (table.filter(pa.array(which)) for which in (fold != index, fold == index))
            for learner in ("logistic", "lightgbm"):
                evaluation = evaluate_hazards(fit_hazards(training, **COLUMNS, learner=learner), judged)
                for score in evaluation.scores:
                    if score.metric in METRICS and learner in {score.model, "logistic"}:
                        values.setdefault((score.model, score.metric), []).append(score.value)
                for gain in evaluation.gains:
                    if gain.metric in METRICS:
                        beats[learner, gain.metric] = beats.get((learner, gain.metric), 0) + (gain.low > 0)
            cox = cox_concordance(training, judged)
            if cox is not None:
                values.setdefault(("Cox (lifelines)", "concordance"), []).append(cox)
        print_scores(values, beats, seed + 1)


def print_scores(values: dict[tuple[str, str], list[float]], beats: dict[tuple[str, str], int], seeds: int) -> None:
    print(f"  {seeds} x {FOLDS} folds", flush=True)
    for (model, metric), each in values.items():
        won = (
            f", interval of the gain above 0 in {beats[model, metric]} of {len(each)}"
            if (model, metric) in beats
            else ""
        )
        print(f"  {model:16} {metric:24} {mean(each):.4f} (SD of a fold {stdev(each):.4f}){won}")


def cox_concordance(training: pa.Table, judged: pa.Table) -> float | None:
    """Harrell's concordance of Cox's model, without the customers who had no time."""
    try:
        from lifelines import CoxPHFitter  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
        from lifelines.utils import concordance_index  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return None
    import pandas as pd  # noqa: PLC0415

    both = pd.concat([training.to_pandas(), judged.to_pandas()])
    both["left"] = (both.pop("Churn") == "Yes").astype(int)
    both = pd.get_dummies(both.drop(columns="customerID"), drop_first=True, dtype=float)
    few, other = both.iloc[: training.num_rows], both.iloc[training.num_rows :]
    few = few[few["tenure"] > 0]
    fitted = CoxPHFitter(penalizer=0.01).fit(few, "tenure", "left")
    return float(concordance_index(other["tenure"], -fitted.predict_partial_hazard(other), other["left"]))


def customers(rows: int, columns: int, seed: int = 1) -> pa.Table:
    """Customers with hazards of about .06 a period, observed for up to 16 periods."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, columns)).astype(np.float32)
    hazard = 1 / (1 + np.exp(3 - numbers @ np.where(np.arange(columns) % 3, 0.15, 0.0)))
    left, observed = rng.geometric(hazard), rng.integers(3, 17, rows)
    held = {f"x{at}": numbers[:, at] for at in range(columns)}
    return pa.table({**held, "periods": np.minimum(left, observed), "left": left <= observed})


def speed(rows: int = 142_000, columns: int = 100) -> None:
    table = customers(rows, columns)
    print(f"{rows:,} customers, {columns} features, {int(np.sum(table['periods'].to_numpy())):,} person-periods")
    few = table.slice(0, 100_000)
    learners: tuple[Any, ...] = ("baseline", "logistic", "lightgbm")
    for learner in learners:
        fitted, fit = seconds_of(lambda one=learner: fit_hazards(table, duration="periods", event="left", learner=one))
        _, score = seconds_of(lambda one=fitted: one.hazard(few, 10))
        print(f"  {learner:9} fit {fit} of {fitted.counts['drawn']:,}; score 1,000,000: {score}", flush=True)
        print(f"            peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
        if learner == "lightgbm":
            reasons(fitted, few)


def reasons(fitted: FittedHazards, table: pa.Table) -> None:
    million = pa.concat_tables([table] * 10)
    _, seconds = seconds_of(lambda: fitted.contributions(million))
    print(f"            reasons (TreeSHAP) of 1,000,000: {seconds}, peak ", end="")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


def main(arguments: list[str]) -> None:
    if "--speed" in arguments:
        speed()
    else:
        telco(pq.read_table(Path(arguments[0]) / "telco_churn.parquet"))


if __name__ == "__main__":
    main(sys.argv[1:])
