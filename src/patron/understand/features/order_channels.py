"""Which channel the customer orders by."""

from patron.understand.features.feature_family import Family, first_place, known_before, ranked, share_of_first_place


def rows(_zone: str) -> str:
    """Channels with the orders known by the cutoff."""
    facts = "select customer_id, occurred_at, known_at, channel from orders where is_identified"
    paired = known_before(facts, columns="occurred_at, channel")
    return ranked(paired, "channel", weight="1", first="occurred_at")


def order_channel_count() -> str:
    """Different channels of orders."""
    return "count(value)"


def favourite_channel_share() -> str:
    """Share of orders by the favourite channel, 0 to 1, among orders whose channel is known."""
    return share_of_first_place()


def favourite_channel() -> str:
    """The channel with the most orders."""
    return first_place()


FAMILY = Family("channels", rows, (order_channel_count, favourite_channel_share), (favourite_channel,))
FEATURES = FAMILY.features
