"""What Patron itself writes about a person, as consents and corrections: events through collect, as those of a shop."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from patron.collect.loader import load_events
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop


def write_person_events(shop: Shop, rows: Sequence[dict[str, Any]], *, source: str, now: datetime) -> None:
    """Load events, columns of raw events; those that are known already change nothing. Raises WorkspaceBusy."""
    if not rows:
        return
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], TIME if field.type == TIME else field.type)
        for field in RAW_EVENTS
    }
    with shop.commit_lock():
        load_events(shop, pa.table(columns), source=source, known="received", received_at=now)
