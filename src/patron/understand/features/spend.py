"""Money net of refunds, and what came back. A refund counts at its order's time.

Refunds whose file does not say when they were count in amounts and in all time, and in no number of days.
"""

from patron.understand.features.feature_family import Family, known_before, total

COLUMNS = "order_id, ordered_at, occurred_at, ordered_day, refund_day, refunded_at, is_refund, paid_cents"
REFUND = "order_id || '/' || coalesce(cast(refund_day as varchar), '')"
"""What counts as one refund: an order and a day; those of an order without a day are one."""


def rows(zone: str) -> str:
    """Amounts of orders and refunds known by the cutoff, with the first day of an order among them."""
    facts = f"""
        select customer_id, order_id, ordered_at, occurred_at, refunded_at, known_at, is_refund,
            local_day(ordered_at, {zone}) as ordered_day, local_day(refunded_at, {zone}) as refund_day, paid_cents
        from (
            select customer_id, order_id, ordered_at, occurred_at, refunded_at, known_at, is_refund,
                cast(sum(paid_cents) as bigint) as paid_cents
            from order_lines where is_identified
            group by customer_id, order_id, ordered_at, occurred_at, refunded_at, known_at, is_refund
        ) l"""
    return f"""
        select k.*, min(case when not is_refund then ordered_day end) over (partition by customer_id, as_of)
            as first_order_day, max(case when not is_refund then ordered_day end) over (partition by customer_id, as_of)
            as last_order_day
        from ({known_before(facts, columns=COLUMNS)}) k"""


def _paid(days: int) -> str:
    return total("paid_cents", days, "ordered_at")


def paid_cents_7_days() -> str:
    """Paid in the last 7 days, net of refunds, cents."""
    return _paid(7)


def paid_cents_30_days() -> str:
    """Paid in the last 30 days, net of refunds, cents."""
    return _paid(30)


def paid_cents_90_days() -> str:
    """Paid in the last 90 days, net of refunds, cents."""
    return _paid(90)


def paid_cents_365_days() -> str:
    """Paid in the last 365 days, net of refunds, cents."""
    return _paid(365)


def paid_cents_lifetime() -> str:
    """Paid ever, net of refunds, cents."""
    return total("paid_cents")


def paid_cents_first_order_day() -> str:
    """Paid on the first day with an order, net of refunds, cents."""
    return "sum(case when ordered_day = first_order_day then paid_cents end)"


def paid_cents_last_order_day() -> str:
    """Paid on the last day with an order, net of refunds, cents."""
    return "sum(case when ordered_day = last_order_day then paid_cents end)"


def mean_paid_cents_per_order() -> str:
    """Paid per order, net of refunds, mean, cents."""
    return f"{paid_cents_lifetime()} / nullif(count(distinct case when not is_refund then order_id end), 0)"


def paid_cents_change_30_days() -> str:
    """Paid in the last 30 days less paid in the 30 days before, cents."""
    return f"2 * {_paid(30)} - {_paid(60)}"


def paid_cents_change_90_days() -> str:
    """Paid in the last 90 days less paid in the 90 days before, cents."""
    return f"2 * {_paid(90)} - {_paid(180)}"


def paid_share_of_last_90_in_180_days() -> str:
    """Share of the last 180 days' spend that fell in the last 90; above one half is rising, NULL without spend."""
    return f"case when {_paid(180)} > 0 then {_paid(90)} / {_paid(180)} end"


def refund_count_lifetime() -> str:
    """Refunds ever: different orders and days with money given back."""
    return f"count(distinct case when is_refund then {REFUND} end)"


def _refunds(days: int) -> str:
    return f"count(distinct case when refunded_at >= from_{days}_days then {REFUND} end)"


def refund_count_30_days() -> str:
    """Refunds in the last 30 days: different orders and days with money given back."""
    return _refunds(30)


def refund_count_90_days() -> str:
    """Refunds in the last 90 days: different orders and days with money given back."""
    return _refunds(90)


def refunded_order_share() -> str:
    """Orders with a refund over all orders; above 1 where refunds name no order of theirs."""
    refunded = "count(distinct case when is_refund then order_id end)"
    return f"{refunded} / nullif(count(distinct case when not is_refund then order_id end), 0)"


def refunded_cents_365_days() -> str:
    """Given back of the orders of the last 365 days, cents."""
    return total("case when is_refund then -paid_cents else 0 end", 365, "ordered_at")


def refunded_share_lifetime() -> str:
    """Share of what was paid that was given back, 0 to 1."""
    back = "sum(case when is_refund then -paid_cents else 0 end)"
    return f"{back} / nullif(sum(case when is_refund then 0 else paid_cents end), 0)"


def days_since_last_refund() -> str:
    """Calendar days from the last refund whose day is known to the cutoff."""
    return "max(moment_day) - max(refund_day)"


FAMILY = Family(
    "money",
    rows,
    (
        paid_cents_7_days,
        paid_cents_30_days,
        paid_cents_90_days,
        paid_cents_365_days,
        paid_cents_lifetime,
        paid_cents_first_order_day,
        paid_cents_last_order_day,
        mean_paid_cents_per_order,
        paid_cents_change_30_days,
        paid_cents_change_90_days,
        paid_share_of_last_90_in_180_days,
        refund_count_lifetime,
        refund_count_30_days,
        refund_count_90_days,
        refunded_order_share,
        refunded_cents_365_days,
        refunded_share_lifetime,
        days_since_last_refund,
    ),
)
FEATURES = FAMILY.features
