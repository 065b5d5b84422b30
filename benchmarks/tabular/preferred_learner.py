"""The learner that `patron.tabular.compare` prefers next to each other one, on ten made tables of different nature.

Usage: python benchmarks/tabular/preferred_learner.py [TABLE ...] (by default all). What decides is planted: linear,
steps, pairs, neighbours, categories, gaps; little is known in others: few rows, few positives, much noise, a world that
changes. No setting of a learner was chosen on them. AUC on the test rows, and by how much the preferred learner is
above each other one, with paired 95 % intervals.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from patron.schema.numbers import Numbers
from patron.tabular import compare
from patron.tabular.preference import FoldedAUC

ROWS, COLUMNS = 4_000, 8


def main(names: Sequence[str]) -> None:
    behind: dict[str, int] = {}
    for place, (name, make) in enumerate(TABLES.items()):
        if names and name not in names:
            continue
        table = make(np.random.default_rng(place + 500))
        comparison = compare(table, label="label", time="day" if "day" in table.column_names else None, test_share=0.4)
        part, forecasts = comparison.judged["test"]
        aucs = {learner: FoldedAUC.of([part.label], [one]) for learner, one in forecasts.items()}
        preferred = aucs[comparison.preferred]
        print(f"\n{name}: {table.num_rows:,} rows, {part.label.mean():.1%} positive; preferred {comparison.preferred}")
        for learner, one in aucs.items():
            gap = one.below(preferred, part.units)
            is_behind = gap.high < 0
            behind[learner] = behind.get(learner, 0) + is_behind
            mark = "  BEHIND" if is_behind else ""
            print(
                f"  {learner:20} {one.value:.4f}  {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]{mark}", flush=True
            )
    print("\nThe preferred learner is behind, beyond noise:")
    for learner, count in behind.items():
        print(f"  {learner:20} {count}")


Maker = Callable[[np.random.Generator], pa.Table]


def made(odds: Callable[[Numbers, np.random.Generator], Numbers], rows: int = ROWS, columns: int = COLUMNS) -> Maker:
    """A table of standard normal columns whose label follows from some of them."""

    def table(rng: np.random.Generator) -> pa.Table:
        matrix = rng.normal(size=(rows, columns))
        return labelled(matrix, odds(matrix, rng), rng)

    return table


def labelled(matrix: Numbers, odds: Numbers, rng: np.random.Generator, **others: object) -> pa.Table:
    """Columns with a label drawn by its log-odds."""
    numbers = {f"x{place}": column for place, column in enumerate(matrix.T)}
    label = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    return pa.table(numbers | others | {"label": label.astype(np.int64)})


def categories(rng: np.random.Generator) -> pa.Table:
    """Two columns of texts with 40 values each decide."""
    matrix, effects = rng.normal(size=(ROWS, 3)), rng.normal(size=(2, 40))
    values = rng.integers(0, 40, (ROWS, 2))
    odds = 1.2 * (effects[0, values[:, 0]] + effects[1, values[:, 1]])
    texts = {f"c{place}": [f"v{one}" for one in values[:, place]] for place in range(2)}
    return labelled(matrix, odds, rng, **texts)


def gaps(rng: np.random.Generator) -> pa.Table:
    """Whether a number is known says as much as the number."""
    matrix = rng.normal(size=(ROWS, COLUMNS))
    is_missing = rng.random((ROWS, 3)) < 0.4
    odds = matrix[:, 0] * ~is_missing[:, 0] + 1.5 * is_missing[:, 1] - 1.5 * is_missing[:, 2]
    matrix[:, :3][is_missing] = np.nan
    return labelled(matrix, odds, rng)


def changing(rng: np.random.Generator) -> pa.Table:
    """What a column does turns slowly into its opposite; rows have a day."""
    matrix, day = rng.normal(size=(ROWS, COLUMNS)), np.sort(rng.integers(0, 365, ROWS))
    odds = 1.5 * matrix[:, 0] * np.cos(np.pi * day / 500) + matrix[:, 1]
    return labelled(matrix, odds, rng, day=day)


TABLES: Mapping[str, Callable[[np.random.Generator], pa.Table]] = {
    "linear": made(lambda x, _: x[:, 0] - 0.7 * x[:, 1] + 0.4 * x[:, 2]),
    "steps": made(lambda x, _: 2.0 * (x[:, 0] > 0.5) - 2.0 * (x[:, 1] < -0.5) + (np.abs(x[:, 2]) < 0.4)),
    "pairs": made(lambda x, _: 1.5 * x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3]),
    "neighbours": made(lambda x, _: 3.0 * np.sin(2 * x[:, 0]) * np.cos(2 * x[:, 1]), columns=2),
    "categories": categories,
    "gaps": gaps,
    "few rows": made(lambda x, _: x[:, 0] + 0.5 * x[:, 1], rows=400),
    "few positives": made(lambda x, _: x[:, 0] + np.maximum(x[:, 1], 0) - 4.5),
    "much noise": made(lambda x, _: 0.5 * x[:, 0] + 0.5 * (x[:, 1] > 0), columns=60),
    "changing": changing,
}


if __name__ == "__main__":
    main(sys.argv[1:])
