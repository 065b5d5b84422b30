"""The customer's day of the week for orders, in the shop's time zone."""

from patron.understand.features.feature_family import Family, first_place, known_before, ranked, share_of_first_place

NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def rows(_zone: str) -> str:
    """Weekdays with the orders known by the cutoff that fell on them."""
    named = " ".join(f"when {number} then '{name}'" for number, name in enumerate(NAMES))
    facts = f"""
        select customer_id, occurred_at, known_at, case local_weekday {named} end as weekday
        from orders where is_identified"""
    paired = known_before(facts, columns="occurred_at, weekday")
    return ranked(paired, "weekday", weight="1", first="occurred_at")


def favourite_weekday_share() -> str:
    """Share of orders on the favourite weekday, 0 to 1."""
    return share_of_first_place()


def favourite_weekday() -> str:
    """The weekday with the most orders, monday to sunday."""
    return first_place()


FAMILY = Family("weekdays", rows, (favourite_weekday_share,), (favourite_weekday,))
FEATURES = FAMILY.features
