"""Members of segments, computed from the tables of a run and the events: what stages, answers and commands share."""

from datetime import datetime

import pyarrow as pa

from patron.storage.shop import Snapshot


def member_ids(snapshot: Snapshot, name: str, *, at: datetime | None = None) -> pa.Table:
    """Customers (`customer_id`, sorted) whom the newest rule of a segment selects.

    Features, forecasts, orders and consents are those of the run; events count until `at`, by default the run's cutoff.
    Raises NotFound, BadSegment for a rule that names what the run does not have.
    """
    raise NotImplementedError
