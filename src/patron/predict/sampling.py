"""Whom random samples take: by a number that follows from what a customer did, and from no id or key of the workspace.

Two workspaces with the same facts have other customer ids, as ids are made with a secret. Whoever drew by them would
learn from other customers, and forecast something else. Customers whose facts and features are all alike have numbers
by their ids, which of them has which changes nothing.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.numbers import Numbers, float_column

SAMPLE_KEY = "sample_key"
OF_CUSTOMERS = """
    select customer_id, seconds_of(occurred_at) as second, paid_cents as amount
    from orders where is_identified and known_at < {now}"""
OF_PROSPECTS = """
    select customer_id, seconds_of(known_at) as second, 0 as amount from identities where known_at < {now}
    union all
    select customer_id, seconds_of(occurred_at) as second, 1 as amount from interactions where known_at < {now}"""
FACTS = """
    select customer_id, min(second) as first, max(second) as last, cast(sum(amount) as bigint) as amount,
        count(*) as facts, cast(sum(second % 86400) as bigint) as clock
    from ({facts}) f group by customer_id order by customer_id"""
"""What tells customers apart without an id: when their first and last facts were, how many, and for how much."""
NUMBERS = ("first", "last", "amount", "facts", "clock")
IS_DOUBLE = 12
"""Bits that are dropped of 64, so that a key is a whole number as a double too."""
MAX_KEY = 2 ** (64 - IS_DOUBLE) - 1


def sample_keys(facts: pa.Table, features: pa.Table) -> pa.Table:
    """Columns customer_id and sample_key: whole numbers up to MAX_KEY, each once, as good as drawn.

    Of rows of FACTS, and today's features of those who have any, one row each, both in order of customer_id.
    """
    chunks = [*facts["customer_id"].chunks, *features["customer_id"].chunks]
    everybody = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    customers, places = everybody.dictionary, everybody.indices.to_numpy()
    mixed = np.zeros(len(customers), np.uint64)
    of_each = ((facts, NUMBERS, places[: facts.num_rows]), (features, _numeric(features), places[facts.num_rows :]))
    for rows, names, place in of_each:
        of_rows = np.zeros(rows.num_rows, np.uint64)
        for name in names:
            of_rows = _hash(of_rows ^ float_column(rows, name, np.nan).view(np.uint64))
        mixed[place] = _hash(mixed[place] ^ of_rows)
    keys = _hash(mixed ^ _hash(_occurrence(mixed))) >> np.uint64(IS_DOUBLE)
    return pa.table({"customer_id": customers, SAMPLE_KEY: pa.array(keys.astype(np.int64))})


def keys_of_facts(columns: Iterable[Numbers]) -> npt.NDArray[np.uint64]:
    """Numbers of 64 bits, as good as drawn, that follow from the rows of these columns; of equal rows the same."""
    keys = np.uint64(0)
    for column in columns:
        keys = _hash(keys ^ np.asarray(column, dtype=np.float64).view(np.uint64))
    return np.atleast_1d(keys)


def _numeric(table: pa.Table) -> list[str]:
    kinds = {field.name: field.type for field in table.schema}
    return sorted(name for name, kind in kinds.items() if pa.types.is_integer(kind) or pa.types.is_floating(kind))


def keys_of(table: pa.Table) -> npt.NDArray[np.int64]:
    """The keys of rows."""
    return table[SAMPLE_KEY].to_numpy().astype(np.int64)


def in_first_half(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row's customer is in the first half: the same at every cutoff."""
    # why not the first bits: they already say who is in the sample of a large shop
    return keys_of(table) % 2 == 1


def _occurrence(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """For each number how many equal ones come before it."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else order
    counts = np.arange(len(ordered)) - np.repeat(begins, np.diff(np.append(begins, len(ordered))))
    before = np.empty(len(ordered), np.uint64)
    before[order] = counts.astype(np.uint64)
    return before


def _hash(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): any bit in changes half of those out."""
    with np.errstate(over="ignore"):
        one = numbers + np.uint64(0x9E3779B97F4A7C15)
        one = (one ^ (one >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        one = (one ^ (one >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return one ^ (one >> np.uint64(31))
