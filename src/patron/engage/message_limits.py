"""When somebody may be written to again: quiet hours by their clock, and caps over all that was sent to them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from patron.storage.outreach.message_policy import MessageCap, QuietHours


def next_allowed(at: datetime, zone: ZoneInfo, quiet_hours: Sequence[QuietHours]) -> datetime:
    """The moment itself, or the end of the quiet hours that it falls in, by the clock of a zone."""
    moment = at
    while (hours := _hours_at(moment, zone, quiet_hours)) is not None:
        moment = _end_of(hours, moment, zone)
    return moment


def capped_until(sent_times: Iterable[datetime], at: datetime, caps: Iterable[MessageCap]) -> datetime | None:
    """When no cap forbids one more message any more, if nothing else is sent meanwhile; None where none does now.

    A message counts for a cap of n days until just before n days have passed since it was sent.
    """
    newest_first = sorted(sent_times, reverse=True)
    ends = [
        newest_first[cap.most - 1] + timedelta(days=cap.within_days) for cap in caps if len(newest_first) >= cap.most
    ]
    until = max(ends, default=at)
    return until if until > at else None


def _hours_at(at: datetime, zone: ZoneInfo, quiet_hours: Sequence[QuietHours]) -> QuietHours | None:
    clock = at.astimezone(zone).time()
    return next((hours for hours in quiet_hours if hours.holds(clock)), None)


def _end_of(hours: QuietHours, at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after `at` that a clock shows the end of these hours, or would show it but for a change."""
    today = at.astimezone(zone).date()
    ends = (
        datetime.combine(today + timedelta(days=days), hours.until, tzinfo=zone).replace(fold=fold).astimezone(UTC)
        for days in (0, 1, 2)
        for fold in (0, 1)
    )
    return min(end for end in ends if end > at)
