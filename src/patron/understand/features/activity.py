"""What the customer did in the shop lately: searches, views, clicks, carts, wishlists."""

from patron.understand.features.feature_family import Family, how_many, known_before


def rows(_zone: str) -> str:
    """Steps of the last 90 days known by the cutoff."""
    facts = """
        select customer_id, occurred_at, known_at, kind from interactions
        where is_identified and kind in ('search', 'view', 'click', 'cart_add', 'wishlist')"""
    return known_before(facts, columns="occurred_at, kind", since="90_days")


def _steps(kind: str, days: int) -> str:
    return how_many(f"kind = '{kind}'", days)


def search_count_7_days() -> str:
    """Searches in the last 7 days."""
    return _steps("search", 7)


def search_count_30_days() -> str:
    """Searches in the last 30 days."""
    return _steps("search", 30)


def search_count_90_days() -> str:
    """Searches in the last 90 days."""
    return _steps("search", 90)


def view_count_7_days() -> str:
    """Products viewed in the last 7 days."""
    return _steps("view", 7)


def view_count_30_days() -> str:
    """Products viewed in the last 30 days."""
    return _steps("view", 30)


def view_count_90_days() -> str:
    """Products viewed in the last 90 days."""
    return _steps("view", 90)


def click_count_7_days() -> str:
    """Products clicked in the last 7 days."""
    return _steps("click", 7)


def click_count_30_days() -> str:
    """Products clicked in the last 30 days."""
    return _steps("click", 30)


def click_count_90_days() -> str:
    """Products clicked in the last 90 days."""
    return _steps("click", 90)


def cart_add_count_7_days() -> str:
    """Products put into the cart in the last 7 days."""
    return _steps("cart_add", 7)


def cart_add_count_30_days() -> str:
    """Products put into the cart in the last 30 days."""
    return _steps("cart_add", 30)


def cart_add_count_90_days() -> str:
    """Products put into the cart in the last 90 days."""
    return _steps("cart_add", 90)


def wishlist_count_7_days() -> str:
    """Products put on a wishlist in the last 7 days."""
    return _steps("wishlist", 7)


def wishlist_count_30_days() -> str:
    """Products put on a wishlist in the last 30 days."""
    return _steps("wishlist", 30)


def wishlist_count_90_days() -> str:
    """Products put on a wishlist in the last 90 days."""
    return _steps("wishlist", 90)


def views_per_search_90_days() -> str:
    """Products viewed per search in the last 90 days."""
    return f"{_steps('view', 90)} / nullif({_steps('search', 90)}, 0)"


def cart_adds_per_view_90_days() -> str:
    """Products put into the cart per product viewed in the last 90 days."""
    return f"{_steps('cart_add', 90)} / nullif({_steps('view', 90)}, 0)"


FAMILY = Family(
    "activity",
    rows,
    (
        search_count_7_days,
        search_count_30_days,
        search_count_90_days,
        view_count_7_days,
        view_count_30_days,
        view_count_90_days,
        click_count_7_days,
        click_count_30_days,
        click_count_90_days,
        cart_add_count_7_days,
        cart_add_count_30_days,
        cart_add_count_90_days,
        wishlist_count_7_days,
        wishlist_count_30_days,
        wishlist_count_90_days,
        views_per_search_90_days,
        cart_adds_per_view_90_days,
    ),
)
FEATURES = FAMILY.features
