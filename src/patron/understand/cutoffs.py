"""Cutoffs: whom we look at, and when."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from patron.schema.table_definition import TIME
from patron.storage.runs.stage_view import StageView

CUTOFFS_SQL = """
    select o.customer_id, a.as_of
    from cutoff_rows a join orders o on o.known_at < a.as_of
    where o.is_identified
    group by o.customer_id, a.as_of"""
"""One row per identified customer with an order known before the cutoff."""


def cutoff_rows(as_ofs: Iterable[datetime]) -> pa.Table:
    """The given cutoffs, each once, as a small table."""
    return pa.table({"as_of": pa.array(sorted({cutoff.astimezone(UTC) for cutoff in as_ofs}), TIME)})


def build_cutoffs(view: StageView, as_ofs: Iterable[datetime]) -> None:
    """Write the run's cutoffs: those customers at each of these times.

    Raises ValueError for a cutoff after the run's own, at which nobody can know what it needs.
    """
    times = list(as_ofs)
    later = [cutoff for cutoff in times if cutoff > view.run.as_of]
    if later:
        raise ValueError(f"cutoffs {later} are after the run's own, {view.run.as_of}")
    rows = cutoff_rows(times)
    sql = f"select '{view.run.run_id}' as run_id, m.* from ({CUTOFFS_SQL}) m"
    view.write_query("cutoffs", sql, cutoff_rows=rows)
