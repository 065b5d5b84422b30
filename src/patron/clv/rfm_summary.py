"""From orders to the summary that models are fitted to: how often, how recently, for how long, how much."""

from datetime import UTC, date, datetime
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.clv.distinct_histories import HISTORY, WEIGHT, Places, arrow, distinct, numbers
from patron.schema.numbers import Numbers

UNIT_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
"""Days of each unit of time: a month is a twelfth of a year."""
MICROSECONDS_A_DAY = 86_400_000_000
UNIT = b"patron.unit"
Moments = npt.NDArray[np.int64]


def rfm(  # noqa: PLR0913 - one argument for each thing that shops' orders differ in
    orders: Any,
    *,
    until: date | datetime | str,
    unit: str = "W",
    holdout_until: date | datetime | str | None = None,
    customer: str = "customer_id",
    time: str = "ordered_at",
    value: str | None = "value",
    whole_days: bool = True,
) -> pa.Table:
    """Summarise orders by customer: a row for each who ordered by the end of the day `until`, ordered by first sight.

    `orders` is anything that speaks Arrow (pandas, Polars, DuckDB ...) with one row per order. Times are in `unit`: D,
    W, M (a twelfth of a year) or Y. Orders of one day count as one, unless `whole_days` is false.

    Columns: customer_id; frequency, repeat orders; recency, from the first order to the last; T, from the first order
    to `until`; monetary_value, mean of the repeat orders (0 without one); log_gaps, sum of the logarithms of the times
    between orders, for regular buyers; first_at. With `holdout_until`: frequency_holdout, monetary_value_holdout (mean
    of the orders then) and duration_holdout.

    A row below zero is money given back: it is no order, and lowers what the newest orders until then brought, none
    below zero; given back in the holdout, it lowers only what the holdout's orders brought.

    Raises ValueError for a missing column, an unknown unit, or a holdout that ends before it begins.
    """
    if unit not in UNIT_DAYS:
        raise ValueError(f"unit {unit!r} is none of {', '.join(UNIT_DAYS)}")
    table = arrow(orders)
    missing = [name for name in (customer, time, value) if name is not None and name not in table.column_names]
    if missing:
        raise ValueError(f"orders have no column {', '.join(missing)}; they have {', '.join(table.column_names)}")
    end = moment_of(until)
    last = end if holdout_until is None else moment_of(holdout_until)
    if last < end:
        raise ValueError(f"the holdout ends {holdout_until}, before {until}")
    codes, ids = codes_of(table[customer])
    at = moments_of(table[time])
    day = MICROSECONDS_A_DAY
    if whole_days:
        at, end, last = at // day, end // day, last // day
    else:  # why: the whole day `until` is seen
        end, last = (end // day + 1) * day - 1, (last // day + 1) * day - 1
    paid = numbers(table, value) if value is not None else np.ones(table.num_rows)
    scale = UNIT_DAYS[unit] * (1 if whole_days else MICROSECONDS_A_DAY)
    found = _summarised((codes, at, paid), len(ids), (end, last), scale)
    is_known = found[:, 7] > 0
    columns = found[is_known]
    first = columns[:, 6].astype(np.int64) * (MICROSECONDS_A_DAY if whole_days else 1)
    made: dict[str, Any] = {"customer_id": ids.filter(pa.array(is_known))}
    named = ("frequency", "recency", "T", "monetary_value", "log_gaps")
    made |= {name: columns[:, place] for place, name in enumerate(named)}
    made["first_at"] = pa.array(first, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    if holdout_until is not None:
        made["frequency_holdout"] = columns[:, 5]
        made["monetary_value_holdout"] = columns[:, 8]
        made["duration_holdout"] = np.full(len(columns), (last - end) / scale)
    return pa.table(made).replace_schema_metadata({UNIT: unit.encode()})


def deduplicated(summary: Any, *others: str) -> pa.Table:
    """Distinct histories, each with its `weight`, the customers that share it: fits are the same.

    `others` are columns that tell histories apart too, such as covariates.
    """
    table = arrow(summary)
    extra = [name for name in ("log_gaps",) if name in table.column_names]
    columns = {name: numbers(table, name) for name in (*HISTORY, *extra, *others)}
    first, place = distinct(*columns.values())
    weight = numbers(table, WEIGHT) if WEIGHT in table.column_names else np.ones(table.num_rows)
    kept = {name: column[first] for name, column in columns.items()}
    return pa.table(kept | {WEIGHT: np.bincount(place, weight, len(first))}).replace_schema_metadata(
        table.schema.metadata
    )


def unit_of(summary: Any) -> str:
    """Unit of time of a summary made by `rfm`; '' when it does not say."""
    return (arrow(summary).schema.metadata or {}).get(UNIT, b"").decode()


def codes_of(ids: pa.ChunkedArray) -> tuple[Places, pa.Array]:
    """A number for each customer, and who has which. Raises ValueError for orders of nobody."""
    if ids.null_count:
        raise ValueError(f"{ids.null_count} orders have no customer")
    whole = ids.combine_chunks()
    if pa.types.is_integer(whole.type):
        values = whole.to_numpy(zero_copy_only=False)
        first, place = distinct(values.astype(np.int64).view(np.float64))
        return place, whole.take(pa.array(first))
    if pa.types.is_dictionary(whole.type):
        return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary
    texts = whole.cast(pa.large_string())
    _, ends, content = texts.buffers()
    bounds = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    first, place = _distinct_texts(bounds, np.frombuffer(content or b"", np.uint8))
    return place, whole.take(pa.array(first))


@numba.njit(cache=True)
def _distinct_texts(bounds: Moments, content: npt.NDArray[np.uint8]) -> tuple[Places, Places]:
    """First place of each distinct text, and which distinct one each is."""
    count = len(bounds) - 1
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, np.int64)
    hashes = np.empty(count, np.uint64)
    first, place = np.empty(count, np.int64), np.empty(count, np.int64)
    found = 0
    for n in range(count):
        low, high = bounds[n], bounds[n + 1]
        mixed = np.uint64(1469598103934665603)
        for at in range(low, high):
            mixed = (mixed ^ np.uint64(content[at])) * np.uint64(1099511628211)
        mixed ^= mixed >> np.uint64(32)
        slot = np.int64(mixed & np.uint64(size - 1))
        while True:
            known = slots[slot]
            if known < 0:
                slots[slot], first[found], hashes[found], place[n] = found, n, mixed, found
                found += 1
                break
            is_same = hashes[known] == mixed and bounds[first[known] + 1] - bounds[first[known]] == high - low
            if is_same:
                for step in range(high - low):
                    if content[bounds[first[known]] + step] != content[low + step]:
                        is_same = False
                        break
            if is_same:
                place[n] = known
                break
            slot = (slot + 1) & (size - 1)
    return first[:found].copy(), place


def moments_of(times: pa.ChunkedArray, what: str = "orders") -> Moments:
    """Microseconds since 1970. Raises ValueError for what has no time."""
    if times.null_count:
        raise ValueError(f"{times.null_count} {what} have no time")
    kind = times.type
    if pa.types.is_date(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        times = times.cast(pa.timestamp("us"))
    elif not pa.types.is_timestamp(kind):
        raise ValueError(f"the time of {what} is {kind}, no date or time")
    exact = pa.timestamp("us", tz=getattr(times.type, "tz", None))
    return times.cast(exact, safe=False).cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)


def moment_of(told: date | datetime | str) -> int:
    """Microseconds since 1970 of a moment, in UTC unless it says so. Raises ValueError for a text that is none."""
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else told
    except ValueError as error:
        raise ValueError(f"{told!r} is no date as 2024-06-30, nor a moment as 2024-06-30T12:00") from error
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000)


@numba.njit(cache=True)
def _summarised(
    orders: tuple[Places, Moments, Numbers], customers: int, span: tuple[int, int], scale: float
) -> Numbers:
    """Of each customer: frequency, recency, T, mean paid, log gaps, later orders, first time, known, later mean.

    Orders are put beside those of the same customer by counting, then into the order of time, few at a time.
    """
    codes, at, paid = orders
    starts = np.zeros(customers + 1, np.int64)
    for n in range(len(codes)):
        starts[codes[n] + 1] += 1
    for n in range(customers):
        starts[n + 1] += starts[n]
    free = starts[:-1].copy()
    times, amounts = np.empty(len(codes), np.int64), np.empty(len(codes))
    for n in range(len(codes)):
        place = free[codes[n]]
        times[place], amounts[place] = at[n], paid[n]
        free[codes[n]] += 1
    found = np.zeros((customers, 9))
    for who in range(customers):
        low, high = starts[who], starts[who + 1]
        _sort(times, amounts, low, high)
        kept = _netted(times, amounts, low, high, span[0])
        if kept > low and times[low] <= span[0]:
            _totalled(times[low:kept], amounts[low:kept], span, scale, found[who])
    return found


@numba.njit(cache=True)
def _netted(times: Moments, amounts: Numbers, low: int, high: int, end: int) -> int:
    """Make orders of one time one, and take what was given back from the newest that has some left; where they end.

    What was given back after `end` lowers nothing from before: nobody knew it then.
    """
    kept = low
    for n in range(low, high):
        if amounts[n] < 0:
            back, newest = -amounts[n], kept - 1
            while back > 0 and newest >= low and (times[n] <= end or times[newest] > end):
                taken = min(back, amounts[newest])
                amounts[newest] -= taken
                back -= taken
                newest -= 1
        elif kept > low and times[kept - 1] == times[n]:
            amounts[kept - 1] += amounts[n]
        else:
            times[kept], amounts[kept] = times[n], amounts[n]
            kept += 1
    return kept


@numba.njit(cache=True)
def _totalled(times: Moments, amounts: Numbers, span: tuple[int, int], scale: float, row: Numbers) -> None:
    """Fill one customer's row from their orders."""
    end, last = span
    first, repeats, money, gaps, later, money_later = times[0], 0, 0.0, 0.0, 0, 0.0
    newest = first
    for n in range(1, len(times)):
        if times[n] <= end:
            repeats += 1
            money += amounts[n]
            gaps += np.log((times[n] - newest) / scale)
            newest = times[n]
        elif times[n] <= last:
            later += 1
            money_later += amounts[n]
    row[0], row[1], row[2] = repeats, (newest - first) / scale, (end - first) / scale
    row[3], row[4] = money / repeats if repeats else 0.0, gaps
    row[5], row[6], row[7], row[8] = later, first, 1.0, money_later / later if later else 0.0


@numba.njit(cache=True)
def _sort(times: Moments, amounts: Numbers, low: int, high: int) -> None:
    """Order a part by time, what was paid before what was given back."""
    if high - low > 64:
        order = np.argsort(times[low:high], kind="mergesort")
        times[low:high], amounts[low:high] = times[low:high][order], amounts[low:high][order]
    for n in range(low + 1, high):
        time, amount, place = times[n], amounts[n], n
        while place > low and (times[place - 1] > time or (times[place - 1] == time and amounts[place - 1] < amount)):
            times[place], amounts[place] = times[place - 1], amounts[place - 1]
            place -= 1
        times[place], amounts[place] = time, amount
