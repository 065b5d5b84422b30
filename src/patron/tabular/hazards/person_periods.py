"""A row for each customer and period under observation: what a discrete-time hazard is learned from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.errors import BadComparison
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index, missing_count
from patron.tabular.hazards.observed_lifetimes import (
    MAX_PERIODS,
    Flags,
    HazardRoles,
    Lifetimes,
    read_event,
    read_numbers,
)

SAMPLE_LIMIT = 1_000_000
"""Person-periods that are learned from; of more, a sample is drawn and weighted."""
ROWS_AT_ONCE = 2_000_000
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class PersonPeriods:
    """Customers' periods: `rows` are places in the table of features, `label` is 1 where the customer left in it."""

    rows: Index
    periods: Index
    ahead: Index
    """Periods since the features were taken, this one counted: 1 is the first."""
    label: Numbers
    weight: Numbers
    """Share of the period under observation, times how many person-periods a drawn one stands for."""
    units: Hashes
    """The customer of each, as a hash that depends on the id alone."""

    def take(self, places: Index | Flags) -> "PersonPeriods":
        """Some of them."""
        each: Any = (self.rows, self.periods, self.ahead, self.label, self.weight, self.units)
        return PersonPeriods(*(values[places] for values in each))

    def weighted(self, factor: Numbers) -> "PersonPeriods":
        """Each counted so many times."""
        return replace(self, weight=self.weight * factor)


def customer_hashes(table: pa.Table, name: str | None) -> Hashes:
    """A number for each row: from the id, whatever the order and the other rows, or else from its place."""
    if name is None:
        return _mix(np.arange(table.num_rows, dtype=np.uint64))
    codes = table[name].combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    # 64 bits: with 32, two of a hundred thousand customers would be one.
    digests = [blake2b(str(value).encode(), digest_size=8).digest() for value in codes.dictionary.to_pylist()]
    hashes = np.frombuffer(b"".join([*digests, bytes(8)]), dtype="<u8").astype(np.uint64)
    return hashes[codes.indices.fill_null(len(digests)).to_numpy()]


def uniforms(hashes: Hashes, seed: int) -> Numbers:
    """A number from 0 to 1 for each hash, the same every time."""
    return (_mix(hashes ^ _mix(np.array([seed + 1], dtype=np.uint64))) >> np.uint64(11)) / 2.0**53


def expand(lifetimes: Lifetimes, units: Hashes, *, limit: int, seed: int) -> PersonPeriods:
    """Person-periods of customers, at most about `limit` of them; memory does not grow with those that are not drawn.

    Of more than the limit, those in which customers left are drawn first, as far as they are half of the limit, then
    others; each stands for as many as its chance says, so that hazards stay what they are.
    """
    total, events = int(lifetimes.period_counts.sum()), int(lifetimes.is_event.sum())
    if total <= limit:
        return _joined(list(_blocks(lifetimes, units)))
    event_share = min(1.0, limit / 2 / max(events, 1))
    other_share = min(1.0, (limit - event_share * events) / max(total - events, 1))
    parts = []
    for part in _blocks(lifetimes, units):
        share = np.where(part.label > 0, event_share, other_share)
        kept = np.flatnonzero(uniforms(part.units ^ _mix(part.periods.astype(np.uint64)), seed) < share)
        parts.append(part.take(kept).weighted(1 / share[kept]))
    return _joined(parts)


def read_person_periods(table: pa.Table, roles: HazardRoles) -> PersonPeriods:
    """Person-periods that a table has ready, by customer and period.

    Raises BadComparison for a period that is no whole number from 1 on, twice the same one, or one after leaving.
    """
    roles.check(table)
    name, unit = str(roles.period), str(roles.id)
    if missing_count(table[unit]):
        raise BadComparison(f"{missing_count(table[unit]):,} rows name no customer", where=unit, todo="Leave them out.")
    numbers = read_numbers(table[name], name)
    is_wrong = ~((numbers >= 1) & (numbers <= MAX_PERIODS) & (numbers == np.floor(numbers)))
    if is_wrong.any():
        raise BadComparison(
            f"{is_wrong.sum():,} rows have no whole number from 1 on", where=name, todo="Number the periods 1, 2, 3 ..."
        )
    is_event = read_event(table[roles.event], roles.event)
    units, periods = customer_hashes(table, unit), numbers.astype(np.intp)
    order = np.lexsort((periods, units))
    is_same = units[order][1:] == units[order][:-1]
    repeated = int((is_same & (periods[order][1:] == periods[order][:-1])).sum())
    if repeated:
        raise BadComparison(f"{repeated:,} rows repeat a customer's period", where=name, todo="Give each one row.")
    returned = int((is_same & is_event[order][:-1]).sum())
    if returned:
        what = f"{returned:,} rows are of customers who had left"
        raise BadComparison(what, where=roles.event, todo="End a customer's rows with the period of leaving.")
    rows = np.arange(table.num_rows)
    ahead = np.ones(len(rows), dtype=np.intp)
    return PersonPeriods(
        rows, periods, ahead=ahead, label=is_event.astype(np.float64), weight=np.ones(len(rows)), units=units
    )


def draw(rows: PersonPeriods, *, limit: int, seed: int) -> PersonPeriods:
    """At most about `limit` person-periods of those there are, as `expand` draws them."""
    total, events = len(rows.rows), int(rows.label.sum())
    if total <= limit:
        return rows
    event_share = min(1.0, limit / 2 / max(events, 1))
    share = np.where(rows.label > 0, event_share, min(1.0, (limit - event_share * events) / max(total - events, 1)))
    kept = np.flatnonzero(uniforms(rows.units ^ _mix(rows.periods.astype(np.uint64)), seed) < share)
    return rows.take(kept).weighted(1 / share[kept])


def lifetimes_of(rows: PersonPeriods) -> tuple[Lifetimes, Index]:
    """Each customer's periods from the first row to the last, and the place of each first row."""
    order = np.lexsort((rows.periods, rows.units))
    units = rows.units[order]
    starts = np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]])) if len(units) else order
    ends = np.append(starts[1:], len(units)) - 1
    first, last = order[starts], order[ends]
    is_event = rows.label[last] > 0
    return Lifetimes(
        rows.rows[first],
        rows.periods[first] - 1,
        last=rows.periods[last],
        is_event=is_event,
        last_share=np.ones(len(first)),
    ), first


def _blocks(lifetimes: Lifetimes, units: Hashes) -> Iterator[PersonPeriods]:
    """Person-periods of some customers at a time."""
    counts = lifetimes.period_counts
    block = np.cumsum(counts) // ROWS_AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    for start, end in pairwise(edges):
        some = slice(start, end)
        place = np.repeat(np.arange(start, end), counts[some])
        before = np.cumsum(counts[some]) - counts[some]
        offset = np.arange(len(place)) - np.repeat(before, counts[some])
        periods = lifetimes.entered[place] + 1 + offset
        is_last = periods == lifetimes.last[place]
        label = (is_last & lifetimes.is_event[place]).astype(np.float64)
        weight = np.where(is_last, lifetimes.last_share[place], 1.0)
        rows = lifetimes.rows[place]
        yield PersonPeriods(rows, periods, ahead=offset + 1, label=label, weight=weight, units=units[rows])


def _joined(parts: list[PersonPeriods]) -> PersonPeriods:
    if len(parts) == 1:
        return parts[0]
    names = ("rows", "periods", "ahead", "label", "weight", "units")
    return PersonPeriods(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _mix(values: Hashes) -> Hashes:
    """Splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit of the output."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
