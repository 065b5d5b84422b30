"""Moments: whom we look at, and when."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from patron.schema.table_definition import TIME
from patron.storage.shop import View

MOMENTS_SQL = """
    select o.customer_id, a.as_of
    from asked_moments a join orders o on o.known_at < a.as_of
    where o.is_identified
    group by o.customer_id, a.as_of"""
"""One row per identified customer with an order known before the moment."""


def asked_moments(as_ofs: Iterable[datetime]) -> pa.Table:
    """The moments asked for, each once, as a small table."""
    return pa.table({"as_of": pa.array(sorted({moment.astimezone(UTC) for moment in as_ofs}), TIME)})


def build_moments(view: View, as_ofs: Iterable[datetime]) -> None:
    """Write the turn's moments: those customers at each of these times.

    Raises ValueError for a moment after the turn's own, at which nobody can know what it needs.
    """
    times = list(as_ofs)
    later = [moment for moment in times if moment > view.turn.as_of]
    if later:
        raise ValueError(f"moments {later} are after the turn's own, {view.turn.as_of}")
    asked = asked_moments(times)
    sql = f"select '{view.turn.turn_id}' as turn_id, m.* from ({MOMENTS_SQL}) m"
    view.write_query("moments", sql, asked_moments=asked)
