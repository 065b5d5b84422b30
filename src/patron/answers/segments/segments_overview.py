"""Customers by lifecycle stage and persona, and the distribution of their expected value."""

from collections import defaultdict
from dataclasses import dataclass, fields
from itertools import pairwise

from patron.answers.insight.revenue import earlier_run_id
from patron.schema.models.questions import PROSPECTS
from patron.schema.tables import LIFECYCLE_STAGES
from patron.storage.engine import exact_sum
from patron.storage.models.missing_forecasts import scores_sql
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

STABILITY_LEVELS = ((0.85, "stable"), (0.75, "fair"), (0.0, "loose"))
EDGES_CENTS = tuple(step * 10**power for power in range(2, 8) for step in (1, 2, 5))


@dataclass(frozen=True)
class LifecycleStage:
    """One lifecycle stage: its customers now and about 90 days ago, and their expected value."""

    lifecycle_stage: str
    customer_count: int
    share: float
    previous_count: int | None
    """At the run 90 days before, or up to a week earlier; None where there was none."""
    expected_cents: float | None


@dataclass(frozen=True)
class PersonaTrait:
    """One trait that sets a persona apart: what is usual in it and in the shop, in the unit (money in cents)."""

    trait: str
    level: str | None
    """The favourite that the trait is about; the values are shares of customers."""
    unit: str
    persona_value: float
    shop_value: float
    effect: float
    """Cliff's delta against the other customers, -1 to 1."""


@dataclass(frozen=True)
class Persona:
    """One persona: its size, what sets it apart, how well it comes out again, and its average member."""

    persona_id: int
    name_code: str
    customer_count: int
    share: float
    paid_cents_365_days: float
    order_count_365_days: float
    days_since_last_order: float
    stability: float | None
    """Mean Jaccard index with the group most like it, formed on another half of the customers, 0 to 1.

    None, as the two that follow, in a run of an older version, which did not measure it."""
    stability_level: str | None
    """The same as a code: stable, fair or loose."""
    overall_stability: float | None
    """Mean adjusted Rand index of all personas; 0 is chance, 1 the same groups."""
    traits: tuple[PersonaTrait, ...]
    """The most telling first."""


@dataclass(frozen=True)
class ValueBin:
    """Customers whose expected value lies from `from_cents` up to, not including, `until_cents` (None: no end)."""

    from_cents: int
    until_cents: int | None
    customer_count: int
    expected_cents: float


@dataclass(frozen=True)
class ValueSpread:
    """Distribution over customers of the value expected in the next 90 days."""

    bins: tuple[ValueBin, ...]
    total_cents: float | None
    """None where no forecast is known."""
    top_tenth_share: float | None
    """Share of the total that the most valuable tenth of customers should bring."""
    low_cents: float | None = None
    """Lower end of the 80 % interval of the total; None where no shop's total was forecast."""
    high_cents: float | None = None
    season: float | None = None
    """Factor of these 90 days against the year's mean; None where the shop is too young to have shown it."""
    calendar_trust: float | None = None
    """How far the season that people entered is believed, 0 to 1; None where nobody entered one."""
    history_cents: float | None = None
    """The total by buying history alone; None in a run of an older version, as the two that follow."""
    models_cents: float | None = None
    """The total by the models of single customers alone."""
    history_weight: float | None = None
    """How much buying history counts in the total, 0 to 1."""
    prospect_count: int = 0
    """People without an order who are expected to bring something on top: they are in none of the other figures."""
    prospects_cents: float = 0.0
    """What they are expected to bring in the next 90 days."""


def lifecycle_stages(view: Snapshot) -> tuple[LifecycleStage, ...]:
    """Every lifecycle stage in order, also those nobody is in."""
    run_id = view.run.run_id
    sql = f"""
select s.run_id, s.lifecycle_stage, count(*) as customer_count, {exact_sum("v.value")} as expected_cents
from segments s left join {scores_sql(view, "value")} v
  on v.run_id = s.run_id and v.customer_id = s.customer_id
where s.run_id in ('{run_id}', '{earlier_run_id(view) or run_id}')
group by s.run_id, s.lifecycle_stage"""
    rows = records(view.query(sql))
    now = {row["lifecycle_stage"]: row for row in rows if row["run_id"] == run_id}
    before = {row["lifecycle_stage"]: row["customer_count"] for row in rows if row["run_id"] != run_id}
    total = sum(row["customer_count"] for row in now.values())
    return tuple(
        LifecycleStage(
            stage,
            now.get(stage, {}).get("customer_count", 0),
            share=now.get(stage, {}).get("customer_count", 0) / total if total else 0.0,
            previous_count=before.get(stage, 0) if before else None,
            expected_cents=now.get(stage, {}).get("expected_cents"),
        )
        for stage in LIFECYCLE_STAGES
    )


def personas(view: Snapshot) -> tuple[Persona, ...]:
    """Personas of the run, the most valuable first."""
    of_run = f"run_id = '{view.run.run_id}'"
    traits: dict[int, list[PersonaTrait]] = defaultdict(list)
    names = ", ".join(field.name for field in fields(PersonaTrait))
    sql = f"select persona_id, {names} from persona_traits where {of_run} order by persona_id, rank"
    for row in records(view.query(sql)):
        traits[row.pop("persona_id")].append(PersonaTrait(**row))
    sql = f"""
select persona_id, name_code, customer_count, paid_cents_365_days, order_count_365_days, days_since_last_order,
  stability, overall_stability, customer_count / nullif(sum(customer_count) over (), 0) as share
from personas where {of_run} order by persona_id"""
    return tuple(
        Persona(**row, stability_level=stability_level(row["stability"]), traits=tuple(traits[row["persona_id"]]))
        for row in records(view.query(sql))
    )


def stability_level(stability: float | None) -> str | None:
    """Stability of a persona in a word, by the thresholds of Hennig (2007); None in a run that did not measure it."""
    return None if stability is None else next(code for least, code in STABILITY_LEVELS if stability >= least)


def value_spread(view: Snapshot) -> ValueSpread:
    """Customers by expected value, in bins that read well, and the share of the most valuable tenth."""
    of_run = f"from {scores_sql(view, 'value')} v where run_id = '{view.run.run_id}'"
    sql = f"""
select coalesce({exact_sum("value")}, 0) as total, max(value) as highest,
  {exact_sum("case when place <= people / 10.0 then value end")} as top
from (
  select value, row_number() over (order by value desc, customer_id) as place,
    count(*) over () as people {of_run})"""
    totals = records(view.query(sql))[0]
    prospects = f"""
select count(*) as prospect_count, cast(coalesce({exact_sum("value")}, 0) as double) as prospects_cents
from this_scores where question = '{PROSPECTS.name}'"""
    apart = records(view.query(prospects))[0]
    if totals["highest"] is None:
        return ValueSpread((), None, None, **apart)
    edges = [0, *(edge for edge in EDGES_CENTS if edge <= max(totals["highest"], EDGES_CENTS[0]))]
    place = " ".join(f"when value < {upper} then {lower}" for lower, upper in pairwise(edges))
    cases = f"case {place} else {edges[-1]} end" if place else "0"
    counts = f"select {cases} as start, count(*) as n, {exact_sum('value')} as expected {of_run} group by 1"
    by_start = {row["start"]: row for row in records(view.query(counts))}
    nothing = {"n": 0, "expected": 0.0}
    ends = [*edges[1:], None]
    bins = tuple(
        ValueBin(start, end, by_start.get(start, nothing)["n"], by_start.get(start, nothing)["expected"])
        for start, end in zip(edges, ends, strict=True)
    )
    total = totals["total"]
    whole = """
select low as low_cents, high as high_cents, case when is_season_observed then season end as season, calendar_trust,
  history_value as history_cents, models_value as models_cents, history_weight
from this_shop_forecasts where question = 'value'"""
    of_shop = next(iter(records(view.query(whole))), {})
    top = totals["top"] / total if total and totals["top"] else None
    return ValueSpread(_joined(bins), total, top_tenth_share=top, **of_shop, **apart)


def _joined(bins: tuple[ValueBin, ...]) -> tuple[ValueBin, ...]:
    """Join the lowest and the highest bins while they hold under half a percent of customers."""
    rest, few = list(bins), 0.005 * sum(b.customer_count for b in bins)
    while len(rest) > 2 and rest[-1].customer_count < few:
        last = rest.pop()
        rest[-1] = _merged(rest[-1], last)
    while len(rest) > 2 and rest[0].customer_count < few:
        first = rest.pop(0)
        rest[0] = _merged(first, rest[0])
    return tuple(rest)


def _merged(low: ValueBin, high: ValueBin) -> ValueBin:
    count = low.customer_count + high.customer_count
    return ValueBin(low.from_cents, high.until_cents, count, low.expected_cents + high.expected_cents)
