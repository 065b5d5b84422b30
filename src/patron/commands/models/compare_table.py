"""Compare models on a file: any table with a yes-or-no label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from patron.commands.data.table_file import read_table_file
from patron.tabular import Comparison, compare


@dataclass(frozen=True)
class ComparisonOptions:
    """How a table is compared; see `patron.tabular.compare`."""

    label: str
    positive: str | None = None
    time: str | None = None
    group: str | None = None
    learners: Sequence[str] | None = None
    folds: int = 5
    test_share: float = 0.2
    seed: int = 0
    gain_cents: int | None = None
    cost_cents: int | None = None


def compare_table(
    path: Path, options: ComparisonOptions, *, delimiter: str | None = None, encoding: str = "utf-8"
) -> Comparison:
    """Read a file (CSV, JSON lines, Parquet) and compare models. Raises BadFile, BadComparison, NotEnoughData."""
    return compare(read_table_file(path, delimiter=delimiter, encoding=encoding), **vars(options))
