"""People whom the shop can name but who have not ordered yet, and what was known of them at a cutoff.

Only people with a name (a user id, or a device that belongs to one): a device that nobody has signed in on yet cannot
be learned from honestly, because those that bought have a name by now and those without one are who did not.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.tables import PROSPECT_FEATURES
from patron.storage.runs.stage_view import StageView
from patron.understand.cutoffs import cutoff_rows
from patron.understand.features import OF_PROSPECTS, feature_version, wide_sql, without_traits
from patron.understand.features.feature_family import CUTOFFS, windows

PROSPECT_DAYS = 90
"""A person known for longer without an order is not a prospect any more."""

KNOWN_SINCE_SQL = """
    select i.customer_id, i.known_since, o.first_known_at as order_known_at
    from (
        select customer_id, min(known_at) as known_since from identities
        where is_user or customer_id <> md5(token) group by customer_id
    ) i
    left join (
        select customer_id, min(known_at) as first_known_at from orders where is_identified group by customer_id
    ) o on o.customer_id = i.customer_id
    order by i.customer_id"""
"""One row per person with a name: since when, and when their first order could be known (NULL without one)."""


def first_known_at(view: StageView) -> datetime | None:
    """When the shop could first name anybody."""
    return view.query(f"select min(known_since) as first_at from ({KNOWN_SINCE_SQL}) k")["first_at"][0].as_py()


def build_prospect_features(view: StageView, as_ofs: Iterable[datetime]) -> None:
    """Write `prospect_features`: of everybody who was a prospect at one of these cutoffs, what was known of them."""
    times = list(as_ofs)
    rows = prospects_at(view, times) if times else PROSPECT_FEATURES.empty()
    if not rows.num_rows:
        view.write("prospect_features", PROSPECT_FEATURES.empty())
        return
    families = without_traits(OF_PROSPECTS, view.policy.fairness.sensitive_traits)
    version = feature_version(f"'{view.settings.shop.time_zone}'", families)
    for name, text in (("run_id", view.run.run_id), ("feature_version", version)):
        rows = rows.append_column(name, pa.array([text] * rows.num_rows, pa.string()))
    view.write("prospect_features", rows)


def prospects_at(view: StageView, as_ofs: Iterable[datetime], *, prospect_days: int = PROSPECT_DAYS) -> pa.Table:
    """Features of those who were prospects at each of these cutoffs; see `prospect_features`."""
    people = view.query(KNOWN_SINCE_SQL)
    parts = []
    for as_of in cutoff_rows(as_ofs)["as_of"]:
        since = pc.subtract(as_of, pa.scalar(timedelta(days=prospect_days), pa.duration("us")))
        recent = people.filter(pc.greater_equal(people["known_since"], since))
        parts.append(recent.append_column("as_of", pa.repeat(as_of, recent.num_rows)))
    return prospect_features(view, pa.concat_tables(parts))


def prospects_by_age(view: StageView, age: timedelta) -> pa.Table:
    """Features of each person at a cutoff of their own: this long after the shop could first name them."""
    people = view.query(KNOWN_SINCE_SQL)
    as_of = pc.add(people["known_since"], pa.scalar(age, pa.duration("us")))
    return prospect_features(view, people.append_column("as_of", as_of))


def prospect_features(view: StageView, people: pa.Table) -> pa.Table:
    """One row per person and cutoff (customer_id, known_since, order_known_at, as_of): all that was known before it.

    Left out: who was not known yet, who had an order known by then, and cutoffs after the run's own.
    """
    as_of = people["as_of"]
    is_named = pc.less(people["known_since"], as_of)
    has_ordered = pc.fill_null(pc.less(people["order_known_at"], as_of), False)
    is_past = pc.less_equal(as_of, pa.scalar(view.run.as_of, as_of.type))
    prospects = people.filter(pc.and_(pc.and_(is_named, is_past), pc.invert(has_ordered)))
    zone = view.settings.shop.time_zone
    within = windows(pc.unique(prospects["as_of"]).to_pylist(), zone)
    prospects = prospects.select(["customer_id", "known_since", "as_of"])
    sql = """select p.customer_id, w.* from prospects p join windows w on w.as_of = p.as_of
        order by p.as_of, p.customer_id"""
    cutoffs = view.query(sql, prospects=prospects, windows=within)
    families = without_traits(OF_PROSPECTS, view.policy.fairness.sensitive_traits)
    results = {
        f"family_{family.name}": view.query(family.sql(f"'{zone}'"), **{CUTOFFS: cutoffs}) for family in families
    }
    return view.query(with_age_sql(), prospects=prospects, **{CUTOFFS: cutoffs}, **results)


def with_age_sql() -> str:
    """The families' features of `prospects`, and days_since_known: how long the shop could name the person."""
    age = "cast(seconds_of(p.as_of) - seconds_of(p.known_since) as double) / 86400"
    return f"""
        select w.*, {age} as days_since_known
        from ({wide_sql(OF_PROSPECTS)}) w
        join prospects p on p.customer_id = w.customer_id and p.as_of = w.as_of
        order by w.as_of, w.customer_id"""
