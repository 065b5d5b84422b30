"""Erase a person from the lake: from rows, older versions and logs."""

from collections.abc import Iterator

import pyarrow as pa
import sqlalchemy as sa

from patron.commands.customers.resolve_person import Person
from patron.schema.events.loop_events import PromotionScheduled
from patron.schema.table_definition import TEXT, Table
from patron.schema.tables import (
    AFFINITIES,
    CLEANING,
    COHORT_MONTHS,
    COHORTS,
    EVENTS,
    PRODUCT_RESPONSES,
    PRODUCTS,
    PROMOTIONS,
    RECOMMENDABLE_PRODUCTS,
    RECOMMENDATIONS,
    RELATED_PRODUCTS,
    RESPONSE_FORECASTS,
    TABLES,
    TEXT_VECTORS,
)
from patron.storage.lake.lake_erasure import Eraser, ErasureConditions
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

OF_PERSON = "in (select token from forgotten)"
OF_CUSTOMER = "in (select customer_id from forgotten)"
ONLY_THEIRS = "in (select value from only_theirs)"
OF_NOBODY_ELSE = "not in (select value from of_others)"
TEXTS_OF_PRODUCTS = ("product_id", "product_name", "category", "brand", "coupon")
MESSAGE_TYPES = ("campaign_type", "offer_id")
"""Properties that a type of message may be named by."""
PROMOTION_TEXTS = ("promotion_id", "name", "kind")
"""Properties of a promotion that are texts."""
TEXTS = (*TEXTS_OF_PRODUCTS, "department", "channel", "device", "campaign_id", "decision_id", "order_id")
"""Columns of events whose values may have come from one person alone."""
SPECIAL_CONDITIONS = {
    EVENTS.name: ErasureConditions(
        # why: what another user did stays theirs, although it was on this person's device or about this person
        f"user_token {OF_PERSON} or (user_token is null and anonymous_token {OF_PERSON})",
        {
            name: f"{name} {OF_PERSON}"
            for name in ("anonymous_token", "referred_token", "previous_token", "email_token", "phone_token")
        },
    ),
    # why: an example is an event, a line of one, or a token
    CLEANING.name: ErasureConditions(
        values={
            "example": "exists (select 1 from named n where starts_with(example || '/', n.event || '/'))"
            f" or example {OF_PERSON}"
        }
    ),
    # why: a product that nobody else's event names came from this person, and so may its name
    PRODUCTS.name: ErasureConditions(
        f"product_id {OF_NOBODY_ELSE}",
        {name: f"{name} {OF_NOBODY_ELSE}" for name in ("product_name", "department", "category", "brand")},
    ),
    RECOMMENDABLE_PRODUCTS.name: ErasureConditions(
        f"product_id {OF_NOBODY_ELSE}", {name: f"{name} {OF_NOBODY_ELSE}" for name in ("category", "brand")}
    ),
    PROMOTIONS.name: ErasureConditions(
        f"product_id {OF_NOBODY_ELSE} or promotion_id {OF_NOBODY_ELSE}",
        {name: f"{name} {OF_NOBODY_ELSE}" for name in ("name", "kind")},
    ),
    # why: a digest does not say whose text it is of; the next run encodes the others again
    TEXT_VECTORS.name: ErasureConditions("true"),
    PRODUCT_RESPONSES.name: ErasureConditions(f"product_id {OF_NOBODY_ELSE}"),
    RELATED_PRODUCTS.name: ErasureConditions(f"product_id {OF_NOBODY_ELSE} or related_id {OF_NOBODY_ELSE}"),
    **{
        table.name: ErasureConditions(
            f"customer_id {OF_CUSTOMER} or product_id {OF_NOBODY_ELSE}",
            {"because_product_id": f"because_product_id {OF_NOBODY_ELSE}"},
        )
        for table in (AFFINITIES, RECOMMENDATIONS)
    },
    # why: a channel, category or country that nobody else has came from this person
    **{table.name: ErasureConditions(f"group_code {ONLY_THEIRS}") for table in (COHORTS, COHORT_MONTHS)},
    # why: what a type of message is called may have come from one person's messages
    RESPONSE_FORECASTS.name: ErasureConditions(
        f"customer_id {OF_CUSTOMER} or channel {ONLY_THEIRS} or message_type {ONLY_THEIRS}"
    ),
}


def erasure_conditions(table: Table) -> ErasureConditions | None:
    """Which rows and values of a table are a person's; None for a table that names nobody."""
    if table.name in SPECIAL_CONDITIONS:
        return SPECIAL_CONDITIONS[table.name]
    where = {"token": OF_PERSON, "opaque_id": OF_CUSTOMER}
    named = [f"{column.name} {where[column.personal]}" for column in table.columns if column.personal in where]
    return ErasureConditions(" or ".join(named)) if named else None


FIRST, LAST = CLEANING, EVENTS
TABLES_WITH_PEOPLE = (
    FIRST,
    *(table for table in TABLES if table not in {FIRST, LAST} and erasure_conditions(table)),
    LAST,
)
"""Tables that name people; examples refer to events, so these go last."""


def erase_rows(shop: Shop, person: Person) -> Iterator[tuple[str, int]]:
    """Erase a person from each table, in one commit a table; yield its name and how many rows named them.

    A table that is replaced whole is erased as the last finished run left it: that is what people read, and a run
    that was cut off is run again anyway.
    """
    lake, last = Eraser(shop.lake.folder, shop.lake.record), shop.snapshot()
    tokens, customer_ids = pa.array(person.tokens, TEXT), pa.array(person.customer_ids, TEXT)
    tables = {"forgotten": pa.table({"token": tokens, "customer_id": customer_ids})}
    is_erased = SPECIAL_CONDITIONS[EVENTS.name].rows
    events = f"select source || '/' || event_id as event from ({lake.relation(EVENTS)}) where {is_erased}"
    tables["named"] = shop.query(events, tables)
    # why: what others' events hold is the same when an erasure is repeated, unlike what only theirs held
    others = f"select distinct value from ({_texts(shop)}) where not is_theirs and value is not null"
    tables["of_others"] = shop.query(others, tables)
    tables["only_theirs"] = pa.table({"value": pa.array(sorted(values_only_theirs(shop, person)), TEXT)})
    for table in TABLES_WITH_PEOPLE:
        conditions = erasure_conditions(table)
        if conditions and lake.exists(table):
            if last and table.partition_by is None:
                lake.restore_version(table, last.pinned.get(table.name))
            yield table.name, lake.erase(table, shop.engine, conditions, tables)


def values_only_theirs(shop: Shop, person: Person) -> frozenset[str]:
    """Texts and plain traits that only this person's events hold, such as a product nobody else looked at."""
    if not shop.lake.exists(EVENTS):
        return frozenset()
    sql = f"""
with texts as ({_texts(shop)}),
theirs as (select distinct value from texts where is_theirs and value is not null)
select value from theirs where value not in (
    select t.value from texts t semi join theirs using (value) where not t.is_theirs)"""
    rows = shop.query(sql, {"forgotten": pa.table({"token": pa.array(person.tokens, TEXT)})})
    return frozenset(rows["value"].to_pylist())


def _texts(shop: Shop) -> str:
    """Every text that events hold, and whether it is this person's event."""
    of_products = ", ".join(f"[p.{name} for p in products]" for name in TEXTS_OF_PRODUCTS)
    listed = f"[{', '.join(TEXTS)}], {of_products}, json_extract_string(traits, '$.*')"
    listed += "".join(f", [json_extract_string(properties, '$.{name}')]" for name in MESSAGE_TYPES)
    # why: a promotion without an id has that of its event
    of_promotions = "".join(f", json_extract_string(properties, '$.{name}')" for name in PROMOTION_TEXTS)
    listed += f", case when name = '{PromotionScheduled.event}' then [event_id{of_promotions}] end"
    return f"""
select coalesce({SPECIAL_CONDITIONS[EVENTS.name].rows}, false) as is_theirs, unnest(flatten([{listed}])) as value
from ({shop.lake.relation(EVENTS)})"""


def shared_devices(shop: Shop, person: Person) -> frozenset[str]:
    """Devices that a person shares with others."""
    if not shop.lake.exists(EVENTS):
        return frozenset()
    sql = f"""
select distinct anonymous_token from ({shop.lake.relation(EVENTS)})
where user_token {OF_PERSON} and anonymous_token is not null"""
    rows = shop.query(sql, {"forgotten": pa.table({"token": pa.array(person.tokens, TEXT)})})
    return frozenset(rows["anonymous_token"].to_pylist()) - frozenset(person.tokens)


def repin_last_run(shop: Shop) -> None:
    """Point the last run's table versions to the newest ones, which no longer name the person."""
    last = shop.snapshot()
    if last is None:
        return
    lake = shop.lake
    with shop.store.begin() as connection:
        this = RUNS.c.run_id == last.run.run_id
        versions = dict(connection.execute(sa.select(RUNS.c.table_versions).where(this)).scalar_one())
        versions |= {
            table.name: lake.version(table) for table in TABLES_WITH_PEOPLE if versions.get(table.name) is not None
        }
        connection.execute(sa.update(RUNS).where(this).values(table_versions=versions))


def delete_old_versions(shop: Shop) -> None:
    """Delete all versions but the newest of each table that names people, with their files and logs."""
    lake = Eraser(shop.lake.folder, shop.lake.record)
    for table in TABLES_WITH_PEOPLE:
        if lake.exists(table):
            lake.delete_history(table)
