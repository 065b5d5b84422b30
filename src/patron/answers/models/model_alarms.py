"""Alarms: what changed more than it usually does in data, scores and calibration."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.schema.data.data_sources import DAYS_BEFORE_DATA_ALARMS
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class ModelAlarm:
    """One alarm."""

    kind: str
    """data, scores or calibration."""
    subject: str
    """Feature that shows it most clearly, or question."""
    part: str
    """Of data: share (of customers with a value other than 0), size (of such values) or level; else mean."""
    source: str | None
    """Of data: what the features come from."""
    level: str | None
    """The level whose share changed most."""
    before: float | None
    """Share or mean before, or mean forecast."""
    now: float | None
    """Share or mean now, or mean actual."""
    value: float
    """Population stability index; of calibration the larger of forecast and actual over the smaller."""
    allowed: float
    """What the value may be in this shop without an alarm."""
    since: datetime
    """Cutoff that is compared with."""
    customer_count: int
    related: tuple[str, ...]
    """Other features of the same source that changed."""


def model_alarms(view: Snapshot) -> tuple[ModelAlarm, ...]:
    """Alarms of a run: data first, as what is wrong there explains the others; none of a run before there were any."""
    sql = """
select kind, subject, part, source, level, before, now, value, allowed, since, customer_count, related
from this_model_alarms
order by case kind when 'data' then 0 when 'scores' then 1 else 2 end, value / allowed desc, subject"""
    rows = records(view.query(sql))
    return tuple(ModelAlarm(**{**row, "related": tuple(row["related"])}) for row in rows)


def data_alarms_from(view: Snapshot) -> datetime | None:
    """From when on a run knows what is usual of the data; None where it does, and without an order."""
    first = view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()
    ready = first + timedelta(days=DAYS_BEFORE_DATA_ALARMS) if first else None
    return ready if ready and ready > view.run.as_of else None
