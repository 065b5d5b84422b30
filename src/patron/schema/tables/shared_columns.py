"""Short words to declare columns with, and the columns that several tables share."""

import pyarrow as pa

from patron.schema.table_definition import INT, TEXT, TIME, Column, Personal

PRODUCT = pa.struct(
    [
        ("product_id", TEXT),
        ("product_name", TEXT),
        ("category", TEXT),
        ("brand", TEXT),
        ("price_cents", INT),
        ("quantity", INT),
        ("discount_cents", INT),
        ("coupon", TEXT),
    ]
)


def of(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, personal: Personal = "none") -> Column:
    """Declare a column that every row has."""
    return Column(name, kind, meaning, unit, personal=personal)


def maybe(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, personal: Personal = "none") -> Column:
    """Declare a column that may be NULL."""
    return Column(name, kind, meaning, unit, nullable=True, personal=personal)


CUSTOMER = of("customer_id", TEXT, "customer; an opaque id, never the shop's id", personal="opaque_id")
AS_OF = of("as_of", TIME, "cutoff: only facts known before it count")
RUN = of("run_id", TEXT, "run that wrote the row")
OCCURRED = of("occurred_at", TIME, "time of the event, clock skew corrected")
KNOWN = of("known_at", TIME, "when Patron could know it; never changed")
