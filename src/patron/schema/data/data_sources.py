"""What the shop sends that features are made from: what to check where features change all at once."""

from collections.abc import Mapping

SOURCES: Mapping[str, tuple[str, ...]] = {
    "views": ("view", "views", "active", "activity"),
    "searches": ("search", "active", "activity"),
    "clicks": ("click", "recommendation", "ad", "active", "activity"),
    "carts": ("cart", "active", "activity"),
    "wishlists": ("wishlist", "active", "activity"),
    "messages": ("message", "messages"),
    "reviews": ("review", "rating"),
    "refunds": ("refund", "refunded"),
    "traits": ("declared", "registration", "referral"),
    "catalogue": ("category", "brand"),
    "amounts": (),
    "orders": ("order", "orders"),
}
"""Code of each source, and the words in the names of features that come from it; amounts are known by their unit."""
ALARM_KINDS = ("data", "scores", "calibration")
"""What an alarm of a run may be about: features, scores, or how forecasts of earlier runs came true."""
DAYS_BEFORE_DATA_ALARMS = 210
"""Days from the first order of an identified customer until a run has the seven cutoffs that tell what is usual."""
AMOUNT = "cents"
DATA_SOURCES = tuple(SOURCES)
ANY_ORDER = "orders"


def sources_of(feature: str, *, is_size: bool) -> tuple[str, ...]:
    """Sources that a change of a feature may come from; `is_size` where its values changed, not how many have one."""
    words = set(feature.split("_"))
    if is_size and AMOUNT in words:
        return ("amounts",)
    return tuple(code for code, names in SOURCES.items() if words & set(names)) or (ANY_ORDER,)
