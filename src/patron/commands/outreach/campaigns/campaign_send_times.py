"""When each customer of a campaign is written to: at the hour of their habit, in the first day of its window."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.engage.customer_time_zones import time_zones
from patron.engage.message_limits import next_allowed
from patron.schema.numbers import Numbers, float_column
from patron.storage.engine import timestamp
from patron.storage.outreach.message_policy import QuietHours
from patron.storage.shop import Snapshot

Seconds = npt.NDArray[np.int64]
DAYS_OF_HABIT = 365
MIN_EVENTS = 2
"""Orders and opened messages from which on a customer has a habit."""
THOUSANDTHS = 1_000
NO_HABIT = -1
DAY = 86_400


@dataclass(frozen=True)
class SendWindow:
    """When messages may be sent, by the shop's clock."""

    start: datetime
    end: datetime
    zone: ZoneInfo


def habit_query(as_of: datetime) -> str:
    """SQL over the Arrow table `audience`: how many orders and openings each customer had, and around which hour.

    Hours are points of a clock's face (cosine and sine, thousandths), so that 23 and 1 meet at midnight; whole numbers,
    so that their sums are the same in any order.
    """
    since = timestamp(as_of - timedelta(days=DAYS_OF_HABIT))
    until = timestamp(as_of)
    angle = "2 * pi() * (local_hour + 0.5) / 24"
    return f"""
select h.customer_id, count(*) as event_count,
  cast(sum(cast(round({THOUSANDTHS} * cos({angle})) as bigint)) as bigint) as cosines,
  cast(sum(cast(round({THOUSANDTHS} * sin({angle})) as bigint)) as bigint) as sines
from (
  select customer_id, local_hour from orders where occurred_at >= {since} and known_at < {until}
  union all
  select customer_id, local_hour from interactions
  where kind = 'message_opened' and occurred_at >= {since} and known_at < {until}) h
join audience a on a.customer_id = h.customer_id
group by h.customer_id
"""


def send_times(
    snapshot: Snapshot, customers: pa.Table, window: SendWindow, *, now: datetime, quiet: Sequence[QuietHours]
) -> Seconds:
    """When each customer (`customer_id`, in order) is written to, seconds since 1970, by the run's habits."""
    habits = snapshot.query(habit_query(snapshot.run.as_of), audience=customers)
    ids = customers["customer_id"].combine_chunks()
    hour = habit_hours(ids, habits)
    zone_of = time_zones(snapshot, ids)
    zones = np.array([zone_of.get(identifier, "") for identifier in ids.to_pylist()], dtype=np.str_)
    return planned_times(hour, zones, window, now=now, quiet=quiet)


def habit_hours(ids: pa.Array, habits: pa.Table) -> Numbers:
    """Hour of habit of each customer by the shop's clock, 0 to 23; -1 for one without a habit."""
    at = pc.index_in(ids, habits["customer_id"].combine_chunks())
    columns = (
        float_column(pa.table({"c": habits[name].take(at)}), "c") for name in ("event_count", "cosines", "sines")
    )
    count, cosine, sine = columns
    hour = np.floor(np.round(np.arctan2(sine, cosine) / (2 * np.pi) * 24, 6)) % 24
    return np.where((count >= MIN_EVENTS) & (np.hypot(sine, cosine) > 0), hour, NO_HABIT)


def planned_times(
    hour: Numbers, zones: npt.NDArray[np.str_], window: SendWindow, *, now: datetime, quiet: Sequence[QuietHours]
) -> Seconds:
    """Times of customers with these hours of habit and time zones; '' is the shop's zone.

    Who has a habit is written to when the shop's clock shows its hour (it was read off the same clock), all others when
    their own clock shows the hour at which the campaign starts; who cannot be within the window, at its start. Quiet
    hours, by their own clock, put it off; where they last until the end of the window, it is left to the sending.
    """
    start, end = max(window.start, now).astimezone(UTC), window.end.astimezone(UTC)
    times = np.empty(len(hour), dtype=np.int64)
    names, code = np.unique(zones, return_inverse=True)
    keys, place = np.unique(np.array([hour, code]), axis=1, return_inverse=True)
    for key, (of_habit, number) in enumerate(keys.T.tolist()):
        name = str(names[int(number)])
        zone = ZoneInfo(name) if name else window.zone
        at = _own_start(start, window, zone) if of_habit == NO_HABIT else _at_hour(start, int(of_habit), window.zone)
        at = next_allowed(at if at < end else start, zone, quiet)
        times[place.reshape(-1) == key] = int((at if at < end else start).timestamp())
    return times


def _at_hour(start: datetime, hour: int, zone: ZoneInfo) -> datetime:
    """The first moment from the start on when the clock of a zone shows an hour."""
    local = start.astimezone(zone)
    if local.hour == hour:
        return start
    day = local.date() if hour > local.hour else local.date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)


def _own_start(start: datetime, window: SendWindow, zone: ZoneInfo) -> datetime:
    """The first moment from the start on when a customer's clock shows what the shop's shows at the start."""
    if zone == window.zone:
        return start
    shift = _offset(window.zone, start) - _offset(zone, start)
    return start + timedelta(seconds=shift % DAY)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
