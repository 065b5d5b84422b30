"""What a part of the predict stage with forecasts of its own leaves next to them."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class PartResult:
    """Rows of `backtests`, and the questions that could not be answered, each with the reason."""

    backtests: pa.Table
    unanswered: tuple[str, ...] = ()
