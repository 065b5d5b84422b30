"""What lists are made from: purchases known before a cutoff, and what the shop had planned and listed by then."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.content import ProductVectors
from patron.schema.table_definition import TIME
from patron.storage.engine import timestamp

PROMOTIONS = """
select product_id, kind, discount_share, starts_at, ends_at, known_at, superseded_at
from promotions where known_at < {now} order by product_id, promotion_id, known_at
"""
SINCE_CUTOFF = pa.timestamp("us")
"""As a time since 1970."""
NO_PROMOTIONS = pa.schema(
    [
        ("item_id", pa.string()),
        *((name, SINCE_CUTOFF) for name in ("starts", "ends", "known_at")),
        ("kind", pa.string()),
        ("price_cut", pa.float64()),
    ]
).empty_table()


@dataclass(frozen=True)
class PurchaseHistory:
    """Purchases, the plan and the products; times are counted from the cutoff."""

    purchases: pa.Table
    """customer_id, product_id, days_before; a row without a product names a customer and no purchase."""
    promotions: pa.Table = field(default_factory=lambda: NO_PROMOTIONS)
    """item_id, starts, ends and known_at (since the cutoff, as if it were 1970), kind, price_cut."""

    content: ProductVectors | None = None
    """What is known of the products, for lists that use it."""

    @classmethod
    def of(cls, history: "pa.Table | PurchaseHistory") -> "PurchaseHistory":
        """Purchases alone have no plan, and nothing is known of their products."""
        return history if isinstance(history, PurchaseHistory) else cls(history)

    def with_purchases(self, purchases: pa.Table) -> Self:
        """Other purchases with the same plan and products."""
        return replace(self, purchases=purchases)


def read_promotions(query: Callable[[str], pa.Table], now: datetime) -> pa.Table:
    """Every version of every promotion that was known by the run."""
    return query(PROMOTIONS.format(now=timestamp(now)))


def promotions_at(promotions: pa.Table, at: datetime) -> pa.Table:
    """What was planned at a cutoff: of each promotion the version that was known then."""
    cutoff = pa.scalar(at, TIME)
    superseded = promotions["superseded_at"]
    is_newest = pc.or_kleene(pc.is_null(superseded), pc.greater_equal(superseded, cutoff))
    planned = promotions.filter(pc.and_(pc.less(promotions["known_at"], cutoff), is_newest))
    times = [
        pc.subtract(planned[name], cutoff).cast(pa.int64()).cast(SINCE_CUTOFF)
        for name in ("starts_at", "ends_at", "known_at")
    ]
    columns = [planned["product_id"], *times, planned["kind"], planned["discount_share"]]
    return pa.table(columns, names=NO_PROMOTIONS.column_names).cast(NO_PROMOTIONS.schema)
