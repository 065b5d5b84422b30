"""`patron.tabular.compare` on two public tables, next to published numbers and to the bars of the project.

`python benchmarks/tabular/compare_on_real_data.py FOLDER` of `uci_online_shoppers.parquet` and `telco_churn.parquet`.
"""

import sys
import time
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.model_selection import StratifiedKFold

from patron.schema.models.metrics import auc, log_loss
from patron.tabular import Comparison, compare
from patron.tabular.evaluation import Part

SEEDS = (0, 1, 2)
RANDOM_FOLDS = 10
REPEATS, FOLDS = 4, 5


def best_of(comparison: Comparison, part: Part) -> str:
    rows = [row for row in comparison.rows if (row.part, row.metric) == (part, "auc")]
    return max(rows, key=lambda row: row.value).learner


def line(comparison: Comparison, learner: str, part: Part) -> str:
    one = comparison.score(learner, "auc", part)
    names = ("accuracy", "f1", "average_precision", "log_loss", "calibration_error")
    rest = "  ".join(f"{name} {comparison.score(learner, name, part).value:.3f}" for name in names)
    return f"  {learner:20} AUC {one.value:.4f} ({one.low:.4f} to {one.high:.4f})  {rest}"


def shoppers_in_time(table: pa.Table) -> None:
    print("UCI online shoppers: learned from February to October, tested on November and December")
    for seed in SEEDS:
        since = time.perf_counter()
        comparison = compare(table, label="Revenue", time="Month", seed=seed)
        seconds = time.perf_counter() - since
        part, forecasts = comparison.judged["test"]
        month = np.array(table["Month"].to_pylist())
        is_december = month[np.isin(month, ["Nov", "Dec"])] == "Dec"
        best = best_of(comparison, "test")
        print(f"seed {seed}: {seconds:.1f} s; preferred {comparison.preferred}, best test row {best}")
        for learner in dict.fromkeys(row.learner for row in comparison.rows):
            december = ""
            if learner in forecasts:
                december = f"  December {auc(part.label[is_december], forecasts[learner][is_december]):.3f}"
            print(line(comparison, learner, "test") + december)
        if comparison.ceiling is not None:
            print(f"  ceiling {comparison.ceiling.value:.4f}")
        for finding in comparison.findings:
            print(f"  ! {finding}")


def shoppers_at_random(table: pa.Table) -> None:
    print(f"UCI online shoppers, random {RANDOM_FOLDS} folds, to compare with papers (time is mixed)")
    comparison = compare(table, label="Revenue", folds=RANDOM_FOLDS, test_share=0)
    for learner in dict.fromkeys(row.learner for row in comparison.rows):
        print(line(comparison, learner, "validation"))
    print(f"  preferred {comparison.preferred}")


def telco(table: pa.Table) -> None:
    print(f"Telco churn, {REPEATS} x {FOLDS} folds: compared on the training part of each, judged on the rest")
    label = np.array([value == "Yes" for value in table["Churn"].to_pylist()], dtype=np.float64)
    preferred, aucs, losses, is_covered = [], [], [], []
    for seed in range(REPEATS):
        for training, judged in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(label, label):
            comparison = compare(table.take(training), label="Churn", test_share=0, seed=seed)
            forecast = comparison.predict(table.take(judged))
            preferred.append(comparison.preferred)
            is_covered.append(comparison.gaps["logistic"].low <= 0)
            aucs.append(float(auc(label[judged], forecast)))
            losses.append(float(log_loss(label[judged], forecast)))
    print(f"  preferred row: AUC {mean(aucs):.4f} (SD of a fold {stdev(aucs):.4f}), log loss {mean(losses):.4f}")
    print(f"  preferred: { {name: preferred.count(name) for name in set(preferred)} }")
    print(f"  the interval of the logistic's gap covers 0 in {sum(is_covered)} of {len(is_covered)}")


def main(folder: str) -> None:
    shoppers = pq.read_table(Path(folder) / "uci_online_shoppers.parquet")
    shoppers_in_time(shoppers)
    shoppers_at_random(shoppers)
    telco(pq.read_table(Path(folder) / "telco_churn.parquet"))


if __name__ == "__main__":
    main(sys.argv[1])
