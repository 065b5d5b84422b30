"""Offers that campaigns gave, among those that customers had: a cap holds over runs and campaigns together."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from patron.schema.numbers import float_column
from patron.storage.outreach.campaign_offers import offers_by_customer
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store


def with_campaign_offers(store: Store | DeclaredStore, rows: pa.Table, *, since: datetime, until: datetime) -> pa.Table:
    """Candidates whose `offer_count` also counts what campaigns sent them within a period; unknown outcomes count."""
    offers = offers_by_customer(store, since, until)
    if not offers:
        return rows
    by_campaigns = np.array(
        [offers.get(customer_id, 0) for customer_id in rows["customer_id"].to_pylist()], dtype=np.int64
    )
    counts = float_column(rows, "offer_count", 0.0).astype(np.int64) + by_campaigns
    place = rows.column_names.index("offer_count")
    return rows.set_column(place, "offer_count", pa.array(counts, rows.schema.field(place).type))
