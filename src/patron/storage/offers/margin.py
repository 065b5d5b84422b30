"""The contribution margin of order lines, as SQL: the price before discounts times the margin, less discounts."""


def margin_sum(condition: str, margin_share: float) -> str:
    """SQL of the margin of the lines `l` that meet a condition; sums of integers are the same in any order of rows."""
    gross, discount = (
        f"cast(sum(case when {condition} then l.{name} else 0 end) as bigint)"
        for name in ("gross_cents", "discount_cents")
    )
    return f"{margin_share} * {gross} - {discount}"
