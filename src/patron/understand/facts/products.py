"""What is known of products: catalogue rows first, else products named in other events."""

from patron.storage.engine import timestamp
from patron.understand.facts.usable_events import BEGINNING_OF_TIME, END_OF_TIME, Scope, known_events

ATTRIBUTES = ("product_name", "department", "category", "brand")
CATALOGUE_ONLY = ("description", "style_id", "cost_cents", "stock", "is_consumable", "is_blocked")
"""Attributes that are read from the catalogue alone."""
NOT_A_PRODUCT = "('Order Completed', 'Order Refunded', 'Order Cancelled', 'Promotion Scheduled')"
"""Whole orders name their products in a list; a promotion has a name and a price of its own."""


def products(scope: Scope) -> str:
    """One row per product, attributes at their last value: from the catalogue where it has one, else any event."""
    last = "".join(f" left join ({_last(name)}) a_{name} on a_{name}.product_id = p.product_id" for name in ATTRIBUTES)
    from_catalogue = "".join(
        f" left join ({_last_in_catalogue(name)}) c_{name} on c_{name}.product_id = p.product_id"
        for name in CATALOGUE_ONLY
    )
    return f"""
        with descriptions as ({_descriptions(scope)}), catalogue as ({_catalogue(scope)})
        select p.product_id, {", ".join(f"a_{name}.{name}" for name in ATTRIBUTES)}, a_price_cents.price_cents,
            p.known_at, {", ".join(f"c_{name}.{name}" for name in CATALOGUE_ONLY)}
        from (select product_id, min(first_known_at) as known_at from descriptions group by product_id) p {last}
        left join ({_last("price_cents")}) a_price_cents on a_price_cents.product_id = p.product_id {from_catalogue}"""


def _catalogue(scope: Scope) -> str:
    """What only rows of the catalogue say, as they come; costs in the shop's currency."""
    columns = ("product_id", "currency", "properties")
    is_of_catalogue = "e.name = 'Product Updated' and e.product_id is not null and e.properties is not null"
    rows = known_events(scope, *columns, where=is_of_catalogue)
    text = {name: f"json_extract_string(c.properties, '$.{name}')" for name in (*CATALOGUE_ONLY, "cost")}
    return f"""
        select c.product_id, c.known_at, c.event_id, {text["description"]} as description,
            {text["style_id"]} as style_id,
            cast(round(try_cast({text["cost"]} as double) * 100 * r.rate) as bigint) as cost_cents,
            try_cast({text["stock"]} as double) as stock, {_flag(text["is_consumable"])} as is_consumable,
            {_flag(text["is_blocked"])} as is_blocked
        from ({rows}) c left join rates r on r.currency = coalesce(c.currency, '{scope.currency}')"""


def _flag(text: str) -> str:
    return f"case lower({text}) when 'true' then true when 'false' then false end"


def _last_in_catalogue(attribute: str) -> str:
    return f"""
        select product_id, {attribute}
        from (
            select product_id, {attribute},
                row_number() over (partition by product_id order by known_at desc, event_id desc, {attribute}) as place
            from catalogue where {attribute} is not null
        ) ranked
        where place = 1"""


def _descriptions(scope: Scope) -> str:
    """Distinct descriptions of products, when first and last known, prices in the shop's currency."""
    columns = (*ATTRIBUTES, "price_cents", "currency")
    single = known_events(
        scope, "product_id", *columns, where=f"e.product_id is not null and e.name not in {NOT_A_PRODUCT}"
    )
    listed = known_events(scope, "currency", "products", where="array_length(e.products) > 0")
    times = "min(known_at) as first_known_at, max(known_at) as last_known_at"
    # why: not a cross join with unnest, which a condition on the parts of a list makes several times slower
    return f"""
        select t.product_id, {", ".join(f"t.{name}" for name in ATTRIBUTES)}, t.is_catalogue,
            cast(round(t.price_cents * r.rate) as bigint) as price_cents, t.first_known_at, t.last_known_at
        from (
            select product_id, {", ".join(columns)},
                case when name = 'Product Updated' then 1 else 0 end as is_catalogue, {times}
            from ({single}) s
            group by product_id, {", ".join(columns)}, name
            union all
            select product_id, product_name, cast(null as varchar) as department, category, brand, price_cents,
                currency, 0 as is_catalogue, {times}
            from (
                select l.p.product_id, l.p.product_name, l.p.category, l.p.brand, l.p.price_cents, l.currency,
                    l.known_at
                from (select currency, known_at, unnest(products) as p from ({listed}) e) l
            ) u
            where product_id is not null
            group by product_id, product_name, category, brand, price_cents, currency
        ) t
        left join rates r on r.currency = coalesce(t.currency, '{scope.currency}')"""


def _last(attribute: str) -> str:
    return f"""
        select product_id, {attribute}
        from (
            select product_id, {attribute}, row_number() over (
                partition by product_id order by is_catalogue desc, last_known_at desc, {attribute}) as place
            from descriptions where {attribute} is not null
        ) ranked
        where place = 1"""


def categories_over_time(scope: Scope) -> str:
    """Category and brand of a product from the catalogue, each version with the times it is in force.

    The first version also counts for everything earlier, but is known only from `first_known_at`: a catalogue
    that comes after the orders describes them from then on, and no cutoff before it sees it.
    """
    rows = known_events(
        scope,
        "product_id",
        "category",
        "brand",
        where="e.name = 'Product Updated' and e.product_id is not null and coalesce(e.category, e.brand) is not null",
    )
    return f"""
        select product_id, category, brand, known_at as first_known_at,
            case when version = 1 then {timestamp(BEGINNING_OF_TIME)} else known_at end as valid_from,
            coalesce(next_known_at, {timestamp(END_OF_TIME)}) as valid_to
        from (
            select product_id, category, brand, known_at,
                row_number() over (partition by product_id order by known_at) as version,
                lead(known_at) over (partition by product_id order by known_at) as next_known_at
            from (
                select product_id, category, brand, known_at, row_number() over (
                    partition by product_id, known_at order by event_id desc, source desc) as place
                from ({rows}) c
            ) d
            where place = 1
        ) v"""
