"""The time in which each forecast comes true or not."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.table_definition import TEXT, TIME


def label_windows(cutoffs: pa.Table, horizon_days: int) -> pa.Table:
    """Add to (customer_id, as_of) the end of the horizon, `until`: intervals are not portable SQL."""
    as_of = cutoffs["as_of"].cast(TIME)
    until = pc.add(as_of, pa.scalar(timedelta(days=horizon_days), pa.duration(TIME.unit)))
    return pa.table({"customer_id": cutoffs["customer_id"].cast(TEXT), "as_of": as_of, "until": until})
