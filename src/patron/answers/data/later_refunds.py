"""Refunds that became known only after the run's cutoff."""

from patron.schema.data.refunds import LaterRefunds
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


def later_refunds(view: Snapshot) -> LaterRefunds | None:
    """Refunds that the run does not count, because they became known after its cutoff; None without any."""
    columns = "refund_count, refund_cents, first_known_at, last_known_at"
    rows = records(view.query(f"select {columns} from this_later_refunds"))
    return LaterRefunds(**rows[0]) if rows else None
