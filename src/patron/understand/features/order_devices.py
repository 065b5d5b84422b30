"""Which device the customer orders by."""

from patron.understand.features.feature_family import Family, first_place, known_before, ranked, share_of_first_place


def rows(_zone: str) -> str:
    """Devices with the orders known by the cutoff."""
    facts = "select customer_id, occurred_at, known_at, device from orders where is_identified"
    paired = known_before(facts, columns="occurred_at, device")
    return ranked(paired, "device", weight="1", first="occurred_at")


def order_device_count() -> str:
    """Different devices of orders."""
    return "count(value)"


def favourite_device_share() -> str:
    """Share of orders by the favourite device, 0 to 1, among orders whose device is known."""
    return share_of_first_place()


def favourite_device() -> str:
    """The device with the most orders."""
    return first_place()


FAMILY = Family("devices", rows, (order_device_count, favourite_device_share), (favourite_device,))
FEATURES = FAMILY.features
