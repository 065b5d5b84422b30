"""What the shop plans: products on promotion, each version of the plan with the times at which it was known."""

from patron.storage.engine import timestamp
from patron.understand.facts.declared_properties import declared_text, declared_time
from patron.understand.facts.usable_events import BEGINNING_OF_TIME, END_OF_TIME, Scope, known_events

SCHEDULED = "Promotion Scheduled"
PLANNED = ("starts_at", "ends_at", "kind", "discount_share")
"""What makes another version: a plan that is sent again unchanged is known since it was first sent."""
EARLIER_FIRST = "(partition by product_id, promotion_id order by known_at)"


def has_dates(of: str, zone: str) -> str:
    """SQL condition of a scheduled promotion: it has a start, and an end that is not before it, both finite."""
    starts, ends = (f"({declared_time(of, name, zone)})" for name in ("starts_at", "ends_at"))
    first, last = timestamp(BEGINNING_OF_TIME), timestamp(END_OF_TIME)
    return f"coalesce({starts} >= {first} and {ends} >= {starts} and {ends} < {last}, false)"


def promotions(scope: Scope) -> str:
    """One row per product, promotion and version that changed its times, kind or discount.

    Of several versions that became known at once the one that occurred last stands.
    """
    return f"""
        select product_id, promotion_id, name, kind, starts_at, ends_at, discount_share, known_at,
            lead(known_at) over {EARLIER_FIRST} as superseded_at
        from (
            select v.*, {", ".join(f"lag({name}) over {EARLIER_FIRST} as last_{name}" for name in PLANNED)}
            from ({_versions(scope)}) v
            where place = 1
        ) c
        where {" or ".join(f"{name} is distinct from last_{name}" for name in PLANNED)}"""


def _versions(scope: Scope) -> str:
    """SQL of every version that was sent; `place` is 1 for the one that stands of those that became known at once."""
    rows = known_events(
        scope,
        *("product_id", "price_cents", "properties"),
        where=f"e.name = '{SCHEDULED}' and e.product_id is not null and {has_dates('e', scope.zone)}",
    )
    text = {name: declared_text("r", name) for name in ("promotion_id", "name", "kind", "percent_off", "sale_price")}
    starts, ends = (declared_time("r", name, scope.zone) for name in ("starts_at", "ends_at"))
    cut = f"1 - try_cast({text['sale_price']} as double) * 100 / nullif(r.price_cents, 0)"
    return f"""
        select product_id, promotion_id, name, kind, starts_at, ends_at, known_at,
            case when share >= 0 and share <= 1 then share end as discount_share,
            row_number() over (
                partition by product_id, promotion_id, known_at
                order by occurred_at desc, event_id desc, source desc) as place
        from (
            select r.product_id, coalesce({text["promotion_id"]}, r.event_id) as promotion_id,
                {text["name"]} as name, {text["kind"]} as kind, {starts} as starts_at, {ends} as ends_at,
                coalesce(try_cast({text["percent_off"]} as double) / 100.0, {cut}) as share,
                r.known_at, r.occurred_at, r.event_id, r.source
            from ({rows}) r
        ) p"""
