"""Training rows: several prefixes of each finished visit, with what came after them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from patron.clickstream.features import ORDER, SessionEvent, VisitorHistory, features_after, rows_of
from patron.estimators.learner import LABEL
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

WEIGHT = "weight"
STARTED_AT = "started_at"
ENDED_AT = "ended_at"
MIN_ROWS, MIN_ORDERS = 200, 20
MAX_PREFIXES = 6
"""Rows of one visit; of a longer one they are spread evenly."""


@dataclass(frozen=True)
class Session:
    """A finished visit."""

    customer_id: str
    events: Sequence[SessionEvent]
    """In the order of their times; at least one."""
    history: VisitorHistory = VisitorHistory()  # noqa: RUF009 - frozen
    offset: float = 0.5
    """Where in a long visit the first of its rows is, 0 to 1 of the step between two: it should follow from no id."""


def training_rows(sessions: Iterable[Session], *, most_prefixes: int = MAX_PREFIXES) -> pa.Table:
    """One row per visit and chosen prefix: customer_id, as_of (its last event), times, features, weight and label.

    Weights of a visit add up to 1, so that long ones do not rule; the label is 1 where an order came after the prefix.
    A prefix of orders alone has no row: nothing was done yet that could say something. Times are seconds since 1970.
    """
    customers = []
    times = []
    features = []
    for session in sessions:
        kinds = [event.kind for event in session.events]
        last_order = max((at for at, kind in enumerate(kinds) if kind == ORDER), default=-1)
        chosen = _prefixes(kinds, session.offset, most_prefixes)
        span = session.events[0].at_seconds, session.events[-1].at_seconds
        for length in chosen:
            customers.append(session.customer_id)
            as_of = session.events[length - 1].at_seconds
            times.append((as_of, *span, 1 / len(chosen), float(last_order >= length)))
            features.append(features_after(session.events[:length], session.history))
    names = ("as_of", STARTED_AT, ENDED_AT, WEIGHT, LABEL)
    columns = np.array(times, dtype=np.float64).reshape(-1, len(names))
    table = pa.table({"customer_id": pa.array(customers, pa.string())})
    for at, name in enumerate(names):
        table = table.append_column(name, pa.array(columns[:, at]))
    rows = rows_of(features)
    for name in rows.column_names:
        table = table.append_column(name, rows[name])
    return table


def _prefixes(kinds: Sequence[str], offset: float, most: int) -> list[int]:
    """Lengths of the prefixes that become rows."""
    first = next((length for length, kind in enumerate(kinds, 1) if kind != ORDER), None)
    if first is None:
        return []
    count = len(kinds) - first + 1
    if count <= most:
        return list(range(first, len(kinds) + 1))
    return [first + int((step + offset) * count / most) for step in range(most)]


def outcomes(table: pa.Table) -> tuple[Numbers, Numbers]:
    """Labels and weights. Raises NotEnoughData with too few rows, or too few of either outcome."""
    label, weight = float_column(table, LABEL), float_column(table, WEIGHT)
    fewest = min(label.sum(), len(label) - label.sum())
    if len(label) < MIN_ROWS or fewest < MIN_ORDERS:
        raise NotEnoughData(
            f"{len(label)} events of visits, {label.sum():.0f} of them before an order",
            where="training",
            todo="Wait for more visits, or import older events.",
        )
    return label, weight
