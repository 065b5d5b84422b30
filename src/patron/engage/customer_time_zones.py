"""Time zones of customers, for planning and sending alike: declared, else their device's, else their country's.

A country counts where all of it has the same time. Whoever has no zone lives by the shop's clock.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
from babel.core import get_global

from patron.schema.table_definition import TEXT
from patron.storage.shop import Snapshot

ZONE_TRAITS = ("time_zone", "timezone")
COUNTRY = "country"
BY_COUNTRY, BY_DEVICE, DECLARED = range(3)
"""What counts more comes later; of the same kind the newest one counts."""


def time_zones(snapshot: Snapshot, customer_ids: Sequence[str] | pa.Array) -> dict[str, str]:
    """The time zone of each customer, of the IANA database; who has none is left out."""
    wanted = pa.table({"customer_id": pa.array(customer_ids, TEXT)})
    zones: dict[str, tuple[int, str]] = {}
    for rows in (_traits(snapshot, wanted), _devices(snapshot, wanted)):
        columns = (rows[name].to_pylist() for name in ("customer_id", "trait", "value"))
        for customer, trait, value in zip(*columns, strict=True):
            rank = DECLARED if trait in ZONE_TRAITS else BY_COUNTRY if trait == COUNTRY else BY_DEVICE
            zone = zone_of_country(value) if rank == BY_COUNTRY else zone_of_name(value)
            if zone and rank >= zones.get(customer, (BY_COUNTRY, ""))[0]:
                zones[customer] = (rank, zone)
    return {customer: zone for customer, (_, zone) in zones.items()}


def _traits(snapshot: Snapshot, wanted: pa.Table) -> pa.Table:
    names = ", ".join(f"'{one}'" for one in (*ZONE_TRAITS, COUNTRY))
    return snapshot.query(
        "select t.customer_id, t.trait, t.value from traits t join wanted w on w.customer_id = t.customer_id"
        f" where t.trait in ({names}) order by t.customer_id, t.occurred_at, t.known_at, t.event_id",
        wanted=wanted,
    )


def _devices(snapshot: Snapshot, wanted: pa.Table) -> pa.Table:
    """Zones in the context of events by which customers sign in."""
    return snapshot.query(
        "select i.customer_id, '' as trait, json_extract_string(e.properties, '$.context.timezone') as value"
        " from events e join identities i on i.token = e.user_token"
        " join (select distinct customer_id from wanted) w on w.customer_id = i.customer_id"
        " where e.name = 'Identify' and e.properties like '%\"timezone\"%'"
        " order by i.customer_id, e.occurred_at, e.source, e.event_id",
        wanted=wanted,
    )


@cache
def zone_of_name(value: str | None) -> str:
    """A zone of the IANA database; '' where the text names none."""
    name = (value or "").strip()
    return name if name in _zone_names() else ""


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def zone_of_country(value: str | None) -> str:
    """The zone of a country by its two letters, where all of it has the same time; else ''."""
    named = get_global("territory_zones").get((value or "").strip().upper(), ())
    zones = [one for one in named if zone_of_name(one)]
    days = tuple(datetime(2024, month, 1, tzinfo=UTC) for month in (1, 7))
    offsets = {tuple(day.astimezone(ZoneInfo(zone)).utcoffset() for day in days) for zone in zones}
    return zones[0] if len(offsets) == 1 else ""
