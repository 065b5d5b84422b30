"""Flags of events: what collect noticed about an event that is stored all the same."""

from collections.abc import Sequence

import pyarrow as pa

from patron.schema.table_definition import TEXTS

TEST = "test"
"""Flag of test traffic, which is used for nothing: its orders do not count as the first of their number."""

PERSONAL_VALUE = "personal_value"
"""Flag of an event of which a value in clear was recognised as personal, and is in the vault instead."""


def add_flag(rows: pa.Table, flag: str, is_flagged: Sequence[bool] | None = None) -> pa.Table:
    """Add a flag once to some rows, or to all of them."""
    old = rows["flags"].to_pylist()
    chosen = is_flagged if is_flagged is not None else [True] * len(old)
    new = [
        [*(flags or ()), flag] if is_chosen and flag not in (flags or ()) else flags
        for flags, is_chosen in zip(old, chosen, strict=True)
    ]
    return rows.set_column(rows.column_names.index("flags"), "flags", pa.array(new, TEXTS))
