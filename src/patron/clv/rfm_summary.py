"""From orders to the summary that models are fitted to: how often, how recently, for how long, how much."""

from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.clv.distinct_histories import HISTORY, WEIGHT, Indices, distinct_rows, finite_column
from patron.clv.order_times import Timestamps, timestamp_us, timestamps_us
from patron.schema.frames import arrow, frame_kind, to_kind
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

UNIT_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
"""Days of each unit of time: a month is a twelfth of a year."""
LIKELY = {
    "customer": ("customer_id", "customerid", "customer", "user_id", "client", "email", "user"),
    "time": ("created", "ordered", "date", "time", "at"),
    "value": ("total", "amount", "value", "revenue", "price", "paid"),
}
"""Parts of the names that columns of orders have elsewhere, likeliest first."""
MICROSECONDS_A_DAY = 86_400_000_000
UNIT = b"patron.unit"
SUMMARISED = {
    "frequency": 0,
    "recency": 1,
    "T": 2,
    "monetary_value": 3,
    "monetary_value_with_first": 9,
    "log_gaps": 4,
}
"""Where `_summarise` puts each column."""


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
) -> Any:
    """Summarise orders by customer: a row for each who ordered by the end of the day `until`, ordered by first sight.

    `orders` is anything that speaks Arrow (pandas, Polars, DuckDB ...) with one row per order; the summary is a frame
    of the same kind where that is pandas or Polars, else an Arrow table. Times of orders may be texts, with a zone or
    without (UTC then). Times of the summary are in `unit`: D, W, M (a twelfth of a year) or Y. Orders of one day count
    as one, unless `whole_days` is false.

    Columns: customer_id; frequency, repeat orders; recency, from the first order to the last; T, from the first order
    to `until`; monetary_value, mean of the repeat orders (0 without one); monetary_value_with_first, mean of all;
    log_gaps, sum of the logarithms of the times between orders, for regular buyers; first_at; unit. With
    `holdout_until`: frequency_holdout, monetary_value_holdout (mean of the orders then) and duration_holdout.

    A row below zero is a refund: it is not an order, and lowers the value of the newest orders until then, none below
    zero; a refund in the holdout lowers only the value of the holdout's orders. Who has nothing but refunds bought
    before these orders begin, and has no row.

    Raises ValueError for a missing column, an unknown unit, or a holdout that ends before it begins.
    """
    if unit not in UNIT_DAYS:
        raise ValueError(f"unit {unit!r} is not one of {', '.join(UNIT_DAYS)}")
    table = arrow(orders)
    check_order_columns(table, customer=customer, time=time, value=value)
    end = timestamp_us(until)
    last = end if holdout_until is None else timestamp_us(holdout_until)
    if last < end:
        raise ValueError(f"the holdout ends {holdout_until}, before {until}")
    codes, ids = customer_codes(table[customer])
    at = timestamps_us(table[time])
    day = MICROSECONDS_A_DAY
    if whole_days:
        at, end, last = at // day, end // day, last // day
    else:  # why: the whole day `until` is seen
        end, last = (end // day + 1) * day - 1, (last // day + 1) * day - 1
    paid = finite_column(table, value) if value is not None else np.ones(table.num_rows)
    scale = UNIT_DAYS[unit] * (1 if whole_days else MICROSECONDS_A_DAY)
    summarised = _summarise((codes, at, paid), len(ids), (end, last), scale)
    is_known = summarised[:, 7] > 0
    columns = summarised[is_known]
    first = columns[:, 6].astype(np.int64) * (MICROSECONDS_A_DAY if whole_days else 1)
    result: dict[str, Any] = {"customer_id": ids.filter(pa.array(is_known))}
    result |= {name: columns[:, place] for name, place in SUMMARISED.items()}
    result["first_at"] = pa.array(first, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    if holdout_until is not None:
        result["frequency_holdout"] = columns[:, 5]
        result["monetary_value_holdout"] = columns[:, 8]
        result["duration_holdout"] = np.full(len(columns), (last - end) / scale)
    result["unit"] = _unit_column(unit, len(columns))
    return to_kind(pa.table(result).replace_schema_metadata({UNIT: unit.encode()}), frame_kind(orders))


def check_order_columns(table: pa.Table, **named: str | None) -> None:
    """Refuse orders without a column, and say how to name another. Raises ValueError."""
    for argument, name in named.items():
        if name is not None and name not in table.column_names:
            known = f"orders have no column {name}; they have {', '.join(table.column_names)}"
            raise ValueError(f"{known}: name yours, {argument}={_likely(argument, table)!r}")


def _likely(argument: str, table: pa.Table) -> str:
    """Column that an argument may mean, from its name."""
    names = [name for part in LIKELY[argument] for name in table.column_names if part in name.lower()]
    return names[0] if names else "..."


def _unit_column(unit: str, count: int) -> pa.Array:
    """The unit as a column: pandas and Polars have no place for it beside a frame."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([unit]))


def deduplicated(summary: Any, *others: str) -> Any:
    """Distinct histories, each with its `weight`, the customers that share it: fits are the same.

    `others` are columns that distinguish histories too, such as covariates.
    """
    table = arrow(summary)
    extra = [name for name in ("log_gaps",) if name in table.column_names]
    columns = {name: finite_column(table, name) for name in (*HISTORY, *extra, *others)}
    first, place = distinct_rows(*columns.values())
    weight = finite_column(table, WEIGHT) if WEIGHT in table.column_names else np.ones(table.num_rows)
    kept = {name: column[first] for name, column in columns.items()}
    unit = summary_unit(table)
    named = {"unit": _unit_column(unit, len(first))} if unit else {}
    distinct = pa.table({**kept, WEIGHT: np.bincount(place, weight, len(first)), **named})
    return to_kind(distinct.replace_schema_metadata(table.schema.metadata), frame_kind(summary))


def summary_unit(summary: Any) -> str:
    """Unit of time of a summary made by `rfm`; '' when it has none."""
    table = arrow(summary)
    if "unit" in table.column_names and table.num_rows and str(table["unit"][0]) in UNIT_DAYS:
        return str(table["unit"][0])
    return (table.schema.metadata or {}).get(UNIT, b"").decode()


def customer_codes(ids: pa.ChunkedArray) -> tuple[Indices, pa.Array]:
    """A number for each customer, and who has which. Raises ValueError for orders of nobody."""
    if ids.null_count:
        raise ValueError(f"{ids.null_count} orders have no customer")
    whole = ids.combine_chunks()
    if pa.types.is_integer(whole.type):
        values = whole.to_numpy(zero_copy_only=False)
        first, place = distinct_rows(values.astype(np.int64).view(np.float64))
        return place, whole.take(pa.array(first))
    if pa.types.is_dictionary(whole.type):
        return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary
    texts = whole.cast(pa.large_string())
    _, ends, content = texts.buffers()
    bounds = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    first, place = _distinct_texts(bounds, np.frombuffer(content or b"", np.uint8))
    return place, whole.take(pa.array(first))


@kernel(nogil=True)
def _distinct_texts(bounds: Timestamps, content: npt.NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """First place of each distinct text, and which distinct one each is."""
    count = len(bounds) - 1
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, np.int64)
    hashes = np.empty(count, np.uint64)
    first, place = np.empty(count, np.int64), np.empty(count, np.int64)
    count_distinct = 0
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
                slots[slot] = count_distinct
                first[count_distinct] = n
                hashes[count_distinct] = mixed
                place[n] = count_distinct
                count_distinct += 1
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
    return first[:count_distinct].copy(), place


@kernel(nogil=True)
def _summarise(
    orders: tuple[Indices, Timestamps, Numbers], customers: int, span: tuple[int, int], scale: float
) -> Numbers:
    """Of each customer: frequency, recency, T, mean paid, log gaps, later orders, first time, known, two more means.

    The last two are the mean of the orders of the holdout, and of all until its begin.

    Orders are put next to those of the same customer by counting, then into the order of time, few at a time.
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
    rows = np.zeros((customers, 10))
    for who in range(customers):
        low, high = starts[who], starts[who + 1]
        _sort(times, amounts, low, high)
        kept = _net_refunds(times, amounts, low, high, span[0])
        if kept > low and times[low] <= span[0]:
            _fill_row(times[low:kept], amounts[low:kept], span, scale, rows[who])
    return rows


@kernel(nogil=True)
def _net_refunds(times: Timestamps, amounts: Numbers, low: int, high: int, end: int) -> int:
    """Make orders of one time one, and deduct refunds from the newest that has some value left; return where they end.

    A refund after `end` lowers nothing from before: nobody knew it then.
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


@kernel(nogil=True)
def _fill_row(times: Timestamps, amounts: Numbers, span: tuple[int, int], scale: float, row: Numbers) -> None:
    """Fill one customer's row from their orders."""
    end, last = span
    first = times[0]
    repeats = 0
    money = 0.0
    gaps = 0.0
    later = 0
    money_later = 0.0
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
    row[0] = repeats
    row[1] = (newest - first) / scale
    row[2] = (end - first) / scale
    row[3], row[4] = money / repeats if repeats else 0.0, gaps
    row[5] = later
    row[6] = first
    row[7] = 1.0
    row[8] = money_later / later if later else 0.0
    row[9] = (money + amounts[0]) / (repeats + 1)


@kernel(nogil=True)
def _sort(times: Timestamps, amounts: Numbers, low: int, high: int) -> None:
    """Order a part by time, payments before refunds."""
    if high - low > 64:
        order = np.argsort(times[low:high], kind="mergesort")
        times[low:high], amounts[low:high] = times[low:high][order], amounts[low:high][order]
    for n in range(low + 1, high):
        time = times[n]
        amount = amounts[n]
        place = n
        while place > low and (times[place - 1] > time or (times[place - 1] == time and amounts[place - 1] < amount)):
            times[place], amounts[place] = times[place - 1], amounts[place - 1]
            place -= 1
        times[place], amounts[place] = time, amount
