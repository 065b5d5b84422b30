"""What a family of features is, and the one way in which facts meet cutoffs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.schema.table_definition import INT, TIME

Feature = Callable[[], str]
"""Returns the SQL of an aggregate over a family's rows; the first line of its docstring is its meaning."""

WINDOW_DAYS = (7, 30, 60, 90, 180, 365)
"""Windows that end at the cutoff; `from_<days>_days` and `day_from_<days>_days` are columns of every cutoff."""
CUTOFFS = "windowed_cutoffs"


@dataclass(frozen=True)
class Family:
    """Features that come from the same rows: (customer_id, as_of, facts known by then)."""

    name: str
    rows: Callable[[str], str]
    """SQL of the rows, given the shop's time zone as a SQL literal."""
    numbers: tuple[Feature, ...]
    texts: tuple[Feature, ...] = ()
    withheld: frozenset[str] = frozenset()
    """Names of features whose columns are NULL, because the shop declared what they say sensitive."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features of the family, numbers first."""
        return self.numbers + self.texts

    def sql(self, zone: str) -> str:
        """One row per cutoff, one column per feature; numbers are doubles, categories are text."""
        columns = [f"cast({self._value(feature)} as double) as {feature.__name__}" for feature in self.numbers]
        columns += [f"cast({self._value(feature)} as varchar) as {feature.__name__}" for feature in self.texts]
        return f"select customer_id, as_of, {', '.join(columns)} from ({self.rows(zone)}) f group by customer_id, as_of"

    def _value(self, feature: Feature) -> str:
        return "null" if feature.__name__ in self.withheld else feature()


def known_before(facts: str, cutoffs: str = CUTOFFS, *, columns: str, since: str = "") -> str:
    """Pair each cutoff with its customer's facts known by then: exactly known_at < as_of, and nowhere else.

    A cutoff without facts keeps one row of NULLs, so that it counts 0. `since` names a window to look back no further.
    """
    picked = ", ".join(f"f.{name.strip()}" for name in columns.split(","))
    recent = f" and f.occurred_at >= m.from_{since}" if since else ""
    return f"""
        select m.*, {picked} from {cutoffs} m left join ({facts}) f
            on f.customer_id = m.customer_id and f.known_at < m.as_of{recent}"""


def windows(as_ofs: Iterable[datetime], time_zone: str) -> pa.Table:
    """Where each window of each cutoff begins: as a time, and as a local day (days since 1970-01-01)."""
    cutoffs = sorted(set(as_ofs))
    zone = ZoneInfo(time_zone)
    columns = {"as_of": pa.array(cutoffs, TIME), "moment_day": pa.array([_day(m, zone) for m in cutoffs], INT)}
    for days in WINDOW_DAYS:
        starts = [cutoff - timedelta(days=days) for cutoff in cutoffs]
        columns[f"from_{days}_days"] = pa.array(starts, TIME)
        columns[f"day_from_{days}_days"] = pa.array([_day(start, zone) for start in starts], INT)
    return pa.table(columns)


def _day(cutoff: datetime, zone: ZoneInfo) -> int:
    return cutoff.astimezone(zone).toordinal() - datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - a calendar day


def ranked(paired: str, value: str, *, weight: str, first: str) -> str:
    """One row per cutoff and value: its weight, its place by weight, its place by first time, the weight of all.

    Ties go to the lesser value. Rows without a value weigh nothing and come last.
    """
    return f"""
        select g.*, cast(sum(weight) over (partition by customer_id, as_of) as bigint) as weight_of_all,
            row_number() over (partition by customer_id, as_of order by weight desc, value) as place,
            row_number() over (partition by customer_id, as_of
                order by case when value is null then 1 else 0 end, first_at, value) as first_place
        from (
            select customer_id, as_of, {value} as value, min({first}) as first_at,
                cast(sum(case when {value} is null then 0 else {weight} end) as bigint) as weight
            from ({paired}) p group by customer_id, as_of, {value}
        ) g"""


def share_of_first_place() -> str:
    """Weight of the heaviest value over the weight of all."""
    return "max(case when place = 1 then weight end) / nullif(max(weight_of_all), 0)"


def first_place() -> str:
    """The heaviest value."""
    return "max(case when place = 1 then value end)"


def diversity() -> str:
    """Simpson's index: the probability that two units of weight are of different values (1 - sum of squared shares)."""
    # why not the sum of the shares: a sum of integers is the same in any order of the rows
    whole = "cast(max(weight_of_all) as double)"
    return f"1 - sum(weight * weight) / nullif({whole} * {whole}, 0)"


def total(amount: str, days: int = 0, clock: str = "occurred_at") -> str:
    """Sum of an amount over the last days, or over all rows; 0 without rows."""
    within = f"case when {clock} >= from_{days}_days then {amount} else 0 end" if days else f"coalesce({amount}, 0)"
    return f"sum({within})"


def how_many(condition: str, days: int = 0) -> str:
    """Rows that meet a condition, over the last days or over all."""
    return total(f"case when {condition} then 1 else 0 end", days)


def distinct(what: str, days: int, clock: str = "occurred_at") -> str:
    """Different values over the last days."""
    return f"count(distinct case when {clock} >= from_{days}_days then {what} end)"
