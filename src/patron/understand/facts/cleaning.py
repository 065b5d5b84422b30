"""What was wrong with the data: how many of how many, what was done about it, and one event to look at."""

from patron.schema.events import OF_PRODUCTS
from patron.storage.engine import sql_list, timestamp
from patron.understand.facts.contracts import CANCELLED, CONTRACTS, STARTED, is_usable
from patron.understand.facts.interactions import KINDS
from patron.understand.facts.promotions import SCHEDULED, has_dates
from patron.understand.facts.refund_lines import REFUNDS, refund_lines
from patron.understand.facts.sale_lines import AMOUNTS, sale_lines
from patron.understand.facts.usable_events import MIN_TIME, Scope, has_flag

OUTLIER_TIMES = 10
"""An outlier is above this many times the 99th percentile: a rule that up to 1 % of wild values do not move."""
KEPT = "kept"
EXCLUDED = "excluded"
CORRECTED = "corrected"
SALES = "('Order Completed', 'Order Line Completed')"
LINKS = ("Identify", "Alias", "Identity Unlinked")
OTHER_NAMES = (*OF_PRODUCTS, "Order Completed", "Order Line Completed", STARTED, CANCELLED, *LINKS)


def cleaning(scope: Scope) -> str:
    """One row per check."""
    return f"{_of_events(scope)} union all {_of_facts()}"


def cleaning_since(scope: Scope, since: Scope) -> str:
    """As `cleaning`, from `last_checks`, and `events` with all new ones and all earlier ones of their orders."""
    return f"""
        select n.check_code, l.row_count + n.row_count - o.row_count as row_count,
            l.checked_count + n.checked_count - o.checked_count as checked_count, n.treatment,
            least(l.example, n.example) as example
        from ({_of_events(scope)}) n
        join ({_of_events(since)}) o on o.check_code = n.check_code
        join last_checks l on l.check_code = n.check_code
        union all {_of_facts()}"""


def _of_events(scope: Scope) -> str:
    """Checks that events alone decide, each by what was known when it was."""
    return " union all ".join((_events(scope), _second_orders(scope), _refunds(scope)))


def _of_facts() -> str:
    return " union all ".join(
        (_lines(), _identical_lines(), _outliers("quantity"), _outliers("paid_cents"), _devices())
    )


def _checks(relation: str, example: str, checks: dict[str, tuple[str, str, str]], *, weight: str = "1") -> str:
    """Count several conditions in one pass: code -> (what counts, what is looked at, what was done)."""
    counts = ", ".join(
        f"cast(sum(case when ({looked}) and ({condition}) then {weight} else 0 end) as bigint) as n_{code},"
        f" cast(sum(case when {looked} then {weight} else 0 end) as bigint) as of_{code},"
        f" min(case when ({looked}) and ({condition}) then {example} end) as at_{code}"
        for code, (condition, looked, _) in checks.items()
    )
    rows = " union all ".join(
        f"select '{code}' as check_code, coalesce(n_{code}, 0) as row_count, coalesce(of_{code}, 0) as checked_count,"
        f" '{treatment}' as treatment, at_{code} as example from counted"
        for code, (_, _, treatment) in checks.items()
    )
    return f"select * from (with counted as (select {counts} from ({relation}) c) {rows}) r"


def _events(scope: Scope) -> str:
    used = ", ".join(f"'{name}'" for name in (*KINDS, *OTHER_NAMES))
    checks = {
        "event_without_customer": ("not has_customer", f"name not in {OF_PRODUCTS}", EXCLUDED),
        "order_without_user": ("not has_user", f"has_customer and name in {SALES}", KEPT),
        "time_impossibly_early": ("is_too_early", "true", EXCLUDED),
        "time_missing": ("has_no_time", "true", CORRECTED),
        "time_impossible": ("has_impossible_time", "true", CORRECTED),
        "time_after_it_was_known": ("is_after_known", "true", CORRECTED),
        "time_after_it_was_received": ("is_after_received", "true", KEPT),
        "known_more_than_a_day_late": ("is_late", "true", KEPT),
        "test_traffic": ("is_test", "true", EXCLUDED),
        "browsing_of_a_bot": ("is_of_bot", f"name in {sql_list(KINDS)}", EXCLUDED),
        "behaviour_without_consent": ("has_no_consent", f"name in {sql_list(KINDS)}", EXCLUDED),
        "order_of_a_bot": ("is_of_bot", f"name in {SALES}", KEPT),
        "negative_amount": ("is_negative", "has_amount", CORRECTED),
        "foreign_currency": (f"rate is not null and currency <> '{scope.currency}'", "has_amount", CORRECTED),
        "currency_without_rate": ("currency is not null and rate is null", "has_amount", EXCLUDED),
        "contract_without_end": ("not is_usable_contract", f"name in {CONTRACTS}", EXCLUDED),
        "promotion_without_dates": ("not is_usable_promotion", f"name = '{SCHEDULED}'", EXCLUDED),
        "event_not_used": (f"name not in ({used}) and name not in {REFUNDS} and not has_traits", "true", EXCLUDED),
    }
    relation = f"select c.*, r.rate from ({_event_counts(scope)}) c left join rates r on r.currency = c.currency"
    return _checks(relation, "example", checks, weight="event_count")


def _event_counts(scope: Scope) -> str:
    """Events counted by name, currency and everything that checks look at: a few rows instead of all events."""
    amounts = ", ".join(f"e.{name}" for name in AMOUNTS)
    marks = {
        "has_customer": "coalesce(e.user_token, e.anonymous_token) is not null",
        "has_user": "e.user_token is not null",
        "is_too_early": f"e.occurred_at < {timestamp(MIN_TIME)}",
        "has_no_time": has_flag("no_time"),
        "has_impossible_time": has_flag("impossible_time"),
        "is_after_known": "e.occurred_at > e.known_at",
        "is_after_received": "e.occurred_at > e.received_at",
        "is_late": "seconds_of(e.known_at) - seconds_of(e.occurred_at) > 86400",
        "is_test": has_flag("test"),
        "is_of_bot": has_flag("bot"),
        "has_no_consent": has_flag("no_consent"),
        "has_amount": f"coalesce({amounts}) is not null",
        "is_negative": f"coalesce(least({amounts}) < 0, false)",
        "has_traits": "e.traits is not null",
        "is_usable_contract": f"e.name not in {CONTRACTS} or {is_usable('e', scope.zone)}",
        "is_usable_promotion": f"e.name <> '{SCHEDULED}' or {has_dates('e', scope.zone)}",
    }
    columns = ", ".join(f"{sql} as {name}" for name, sql in marks.items())
    return f"""
        select name, currency, {", ".join(marks)}, count(*) as event_count,
            min(source || '/' || event_id) as example
        from (
            select e.source, e.event_id, e.name, e.currency, {columns}
            from events e where e.known_at < {timestamp(scope.as_of)}
        ) m
        group by name, currency, {", ".join(marks)}"""


def _second_orders(scope: Scope) -> str:
    relation = f"""
        select source || '/' || event_id as example, row_number() over (
            partition by source, coalesce(order_id, event_id) order by known_at, received_at, event_id) as place
        from events
        where name = 'Order Completed' and not {has_flag("test", "flags")} and known_at < {timestamp(scope.as_of)}"""
    return _checks(relation, "example", {"second_event_of_an_order": ("place > 1", "true", EXCLUDED)})


def _lines() -> str:
    sold = "not is_refund"
    checks = {
        "line_without_product": ("product_id is null", sold, KEPT),
        "line_without_category": ("category is null", f"{sold} and product_id is not null", KEPT),
        "line_without_price": ("not has_price", sold, KEPT),
        "line_of_no_value": ("has_price and paid_cents = 0", sold, KEPT),
    }
    return _checks("select * from order_lines", "line_id", checks)


def _identical_lines() -> str:
    relation = """
        select min(line_id) as line_id, count(*) as n from order_lines where not is_refund and product_id is not null
        group by customer_id, order_id, product_id, occurred_at, quantity, gross_cents, paid_cents"""
    return f"""
        select 'line_repeated_identically' as check_code, cast(coalesce(sum(n - 1), 0) as bigint) as row_count,
            cast(coalesce(sum(n), 0) as bigint) as checked_count, '{KEPT}' as treatment,
            min(case when n > 1 then line_id end) as example
        from ({relation}) i"""


def _outliers(column: str) -> str:
    """Count lines above OUTLIER_TIMES the 99th percentile, the least value that 99 % of the lines do not exceed."""
    relation = f"""
        select l.line_id, l.{column}, p.percentile_99
        from (select line_id, {column} from order_lines where not is_refund) l
        cross join (
            select min(case when so_far >= 0.99 * in_all then {column} end) as percentile_99
            from (
                select {column}, sum(n) over (order by {column}) as so_far, sum(n) over () as in_all
                from (select {column}, count(*) as n from order_lines where not is_refund group by {column}) h
            ) c
        ) p"""
    code = f"outlier_{column}"
    return _checks(relation, "line_id", {code: (f"{column} > {OUTLIER_TIMES} * percentile_99", "true", KEPT)})


def _refunds(scope: Scope) -> str:
    checks = {
        "refund_above_what_was_paid": ("booked_cents < claimed_cents", "true", CORRECTED),
        "refund_of_unknown_order": ("not is_order_known", "true", KEPT),
        "refund_without_amount": ("not has_price", "true", KEPT),
    }
    refunded = f"""coalesce(e.order_id, e.event_id) in (
        select coalesce(order_id, event_id) from events where name in {REFUNDS})"""
    lines = f"select * from (with sold as ({sale_lines(scope, refunded)}) {_as_ctes(refund_lines(scope))}) r"
    return _checks(lines, "source || '/' || event_id", checks)


def _as_ctes(query: str) -> str:
    """Continue a WITH list by a query that has its own."""
    return "," + query.strip().removeprefix("with")


def _devices() -> str:
    checks = {"device_of_several_users": ("shared_from is not null", "not is_user", KEPT)}
    return _checks("select * from identities", "token", checks)
