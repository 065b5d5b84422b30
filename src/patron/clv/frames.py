"""Answers beside their customers, in the kind of frame that the customers came in."""

from collections.abc import Sized
from typing import Any

import numpy as np
import pyarrow as pa

from patron.schema.frames import arrow, frame_kind, to_kind

CUSTOMER = "customer_id"


def with_answers(summary: Any, **answers: Any) -> Any:
    """Answers beside their customers: a row for each of a summary, in the kind of frame that the summary is.

    An answer is one number a customer, such as `expected_purchases` gives, a `Span` (columns x, x_low and x_high), or a
    distribution of counts (columns x_0, x_1 ...). A pandas frame keeps its index. Raises ValueError for an answer that
    has not one entry for each customer.
    """
    table, kind = arrow(summary), frame_kind(summary)
    columns: dict[str, Any] = {CUSTOMER: table[CUSTOMER]} if CUSTOMER in table.column_names else {}
    for name, answer in answers.items():
        columns |= _columns_of(name, answer, table.num_rows)
    frame = to_kind(pa.table(columns), kind)
    if kind == "pandas":
        frame.index = summary.index
        is_index = CUSTOMER not in summary.columns and CUSTOMER in frame.columns
        return frame.drop(columns=CUSTOMER) if is_index else frame
    return frame


def _columns_of(name: str, answer: Any, count: int) -> dict[str, Any]:
    if hasattr(answer, "low") and hasattr(answer, "high"):
        columns = {name: answer.mean, f"{name}_low": answer.low, f"{name}_high": answer.high}
    elif np.ndim(answer) == 2:
        columns = {f"{name}_{place}": np.asarray(answer)[:, place] for place in range(np.shape(answer)[1])}
    else:
        columns = {name: answer}
    for column, values in columns.items():
        if not isinstance(values, Sized) or len(values) != count:
            entries = len(values) if isinstance(values, Sized) else 1
            raise ValueError(f"{column} has {entries} entries, and the summary {count} customers")
    return columns
