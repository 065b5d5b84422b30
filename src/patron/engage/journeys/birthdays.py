"""Whose birthday it is soon, by what the vault keeps of customers; dates of birth never leave it.

Customers are gone through in batches, in the order of their ids. Who was born on 29 February has their birthday on 28
February in other years.
"""

import calendar
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from patron.engage.customer_time_zones import time_zones
from patron.engage.journeys.journey_fold import TriggerMatch
from patron.engage.journeys.journey_triggers import PREFIX, OpenJourney
from patron.govern.vault import Vault
from patron.schema.privacy.personal_keys import snake_case
from patron.storage.outreach.journey_file import DateTrigger
from patron.storage.shop import Shop

KEYS = ("birthday", "birth_date", "date_of_birth", "dob")
BATCH = 5_000
"""Customers whose texts are opened in one go: a second or so."""
DAY_OF_YEAR = re.compile(r"(?:\d{4}-|--)?(\d{2})-(\d{2})(?:[T ].*)?")
LEAP_YEAR = 2000
LEAP_DAY = (2, 29)


@dataclass(frozen=True)
class BirthdayBatch:
    """Some customers, and who of them enters when."""

    matches: Sequence[TriggerMatch]
    after: str | None
    """First characters of the last customer's id; None where no more follow."""


def birthday_matches(
    shop: Shop, vault: Vault, journeys: Sequence[OpenJourney], since: datetime, until: datetime, after: str
) -> BirthdayBatch:
    """Who enters within a stretch of time (`until` does not belong to it), of some customers.

    They are those whose ids come after some characters; a few are looked at twice, which changes nothing.
    """
    snapshot = shop.snapshot() or shop.newest_snapshot()
    rows = snapshot.query(
        "select customer_id, min(token) as token from identities where is_user and customer_id >= $after"
        f" group by customer_id order by customer_id limit {BATCH}",
        {"after": after},
    )
    token_of = dict(zip(rows["customer_id"].to_pylist(), rows["token"].to_pylist(), strict=True))
    days = _days(vault, token_of)
    zones = time_zones(snapshot, sorted(days)) if days else {}
    matches: list[TriggerMatch] = []
    for customer_id, day in sorted(days.items()):
        zone = ZoneInfo(zones.get(customer_id) or shop.settings.shop.time_zone)
        for journey in journeys:
            trigger = journey.journey.trigger
            if isinstance(trigger, DateTrigger):
                parts = (journey.name, journey.version, customer_id, token_of[customer_id])
                matches += [
                    TriggerMatch(*parts, moment, f"birthday {moment.astimezone(zone):%Y}")
                    for moment in moments(day, trigger, zone, since, until)
                    if journey.is_open_at(moment)
                ]
    return BirthdayBatch(matches, max(token_of)[:PREFIX] if len(token_of) == BATCH else None)


def moments(
    day: tuple[int, int], trigger: DateTrigger, zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[datetime]:
    """When a trigger fires for a month and day within a stretch of time, by a customer's clock."""
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    for number in range((last - first).days + 1):
        fires_on = first + timedelta(days=number)
        if is_birthday(fires_on + timedelta(days=trigger.days_before), day):
            moment = datetime.combine(fires_on, time(trigger.hour), tzinfo=zone).astimezone(UTC)
            if since <= moment < until:
                yield moment


def is_birthday(on: date, day: tuple[int, int]) -> bool:
    """Whether a date is the birthday of somebody born on a month and day."""
    if day == LEAP_DAY and not calendar.isleap(on.year):
        day = (2, 28)
    return (on.month, on.day) == day


def day_of_year(text: str) -> tuple[int, int] | None:
    """Month and day of a date such as 1990-05-17 or 05-17; None for another text."""
    match = DAY_OF_YEAR.fullmatch(text.strip())
    if not match:
        return None
    month, day = int(match[1]), int(match[2])
    is_date = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(LEAP_YEAR, month)[1]
    return (month, day) if is_date else None


def _days(vault: Vault, token_of: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Month and day of the birthdays of customers, of their first user's texts the last one that has it."""
    customer_of = {token: customer_id for customer_id, token in token_of.items()}
    days: dict[str, tuple[int, int]] = {}
    for text in vault.texts(sorted(customer_of), ("personal",)):
        content = json.loads(text["text"])
        if not isinstance(content, dict):
            continue
        for key, value in content.items():
            day = day_of_year(value) if snake_case(key) in KEYS and isinstance(value, str) else None
            if day:
                days[customer_of[text["token"]]] = day
    return days
