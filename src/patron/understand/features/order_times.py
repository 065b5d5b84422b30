"""When in the day and week the customer orders, in the shop's time zone."""

from patron.understand.features.feature_family import Family, known_before, ranked, share_of_first_place

PART_OF_DAY = """case when local_hour < 6 then 'night' when local_hour < 12 then 'morning'
    when local_hour < 18 then 'afternoon' else 'evening' end"""


def rows(_zone: str) -> str:
    """Parts of the day with the orders known by the cutoff that fell in them."""
    facts = f"""
        select customer_id, occurred_at, known_at, order_id, local_hour, local_weekday, {PART_OF_DAY} as part_of_day
        from orders where is_identified"""
    paired = known_before(facts, columns="occurred_at, local_hour, local_weekday, part_of_day")
    return f"""
        select r.*, s.weekend_count, s.hour_sum, s.hour_square_sum
        from ({ranked(paired, "part_of_day", weight="1", first="occurred_at")}) r
        join (
            select customer_id, as_of, part_of_day, count(case when local_weekday >= 5 then 1 end) as weekend_count,
                sum(local_hour) as hour_sum, sum(local_hour * local_hour) as hour_square_sum
            from ({paired}) p group by customer_id, as_of, part_of_day
        ) s on s.customer_id = r.customer_id and s.as_of = r.as_of and s.part_of_day = r.value"""


def weekend_order_share() -> str:
    """Share of orders on Saturday or Sunday, 0 to 1."""
    return "sum(weekend_count) / nullif(sum(weight), 0)"


def favourite_part_of_day_share() -> str:
    """Share of orders in the favourite part of the day, 0 to 1."""
    return share_of_first_place()


def mean_order_hour() -> str:
    """Hour of the day of the orders, mean, 0 to 23."""
    return "sum(hour_sum) / nullif(sum(weight), 0)"


def order_hour_spread() -> str:
    """Standard deviation of the hour of the orders within the day, hours."""
    mean = "(sum(hour_sum) / nullif(cast(sum(weight) as double), 0))"
    return f"sqrt(greatest(sum(hour_square_sum) / nullif(sum(weight), 0) - {mean} * {mean}, 0))"


def favourite_part_of_day() -> str:
    """The part of the day with the most orders: night (0-5), morning, afternoon or evening (18-23)."""
    return "max(case when place = 1 then value end)"


FAMILY = Family(
    "habits",
    rows,
    (weekend_order_share, favourite_part_of_day_share, mean_order_hour, order_hour_spread),
    (favourite_part_of_day,),
)
FEATURES = FAMILY.features
