"""Whom random samples take: by a number that follows from what a customer did, and from no id or key of the workspace.

Two workspaces with the same facts have other customer ids, as ids are made with a secret. Whoever drew by them would
learn from other customers, and forecast something else.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SAMPLE_KEY = "sample_key"
OF_CUSTOMERS = """
    select customer_id, seconds_of(occurred_at) as second, paid_cents as amount
    from orders where is_identified and known_at < {now}"""
OF_PROSPECTS = """
    select customer_id, seconds_of(occurred_at) as second, 0 as amount from interactions where known_at < {now}"""
FACTS = """
    select customer_id, min(second) as first, max(second) as last, cast(sum(amount) as bigint) as amount,
        count(*) as facts, cast(sum(second % 86400) as bigint) as clock
    from ({facts}) f group by customer_id order by customer_id"""
"""What tells customers apart without an id: when their first and last orders were, how many, and for how much."""
IS_DOUBLE = 12
"""Bits that are dropped of 64, so that a key is a whole number as a double too."""
LARGEST_KEY = 2 ** (64 - IS_DOUBLE) - 1


def sample_keys(facts: pa.Table) -> pa.Table:
    """Columns customer_id and sample_key of rows of FACTS, whole numbers below 2^52, as good as drawn."""
    mixed = np.zeros(facts.num_rows, np.uint64)
    for name in ("first", "last", "amount", "facts", "clock"):
        mixed = _mixed(mixed ^ facts[name].to_numpy().astype(np.int64).view(np.uint64))
    keys = pa.array((mixed >> np.uint64(IS_DOUBLE)).astype(np.int64))
    return pa.table({"customer_id": facts["customer_id"], SAMPLE_KEY: keys})


def keys_of(table: pa.Table) -> npt.NDArray[np.int64]:
    """The keys of rows."""
    return table[SAMPLE_KEY].to_numpy().astype(np.int64)


def in_first_half(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row's customer is in the first half: the same at every cutoff."""
    # why not the first bits: they already say who is in the sample of a large shop
    return keys_of(table) % 2 == 1


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): any bit in changes half of those out."""
    with np.errstate(over="ignore"):
        one = numbers + np.uint64(0x9E3779B97F4A7C15)
        one = (one ^ (one >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        one = (one ^ (one >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return one ^ (one >> np.uint64(31))
