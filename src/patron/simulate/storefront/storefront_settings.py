"""What a simulated storefront is like: every number with its unit, set before any policy met it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StorefrontSettings:
    """A storefront with known truth; logits are changes of the log odds of a click, if the product is looked at."""

    shoppers: int = 400
    """People who come in the course of the year, count."""
    present_share: float = 0.6
    """Share of them who come from the first day; the others arrive evenly over the year, 0 to 1."""
    year_days: int = 365
    """Time over which shoppers arrive and products are launched, days."""
    anonymous_share: float = 0.15
    """Share of shoppers who never sign up, 0 to 1."""
    visits_per_day: float = 0.25
    """Mean visits of a shopper, visits a day."""
    visits_shape: float = 1.2
    """Shape of the gamma distribution of visit rates; smaller is more unequal."""
    weekday_factors: tuple[float, ...] = (1.0, 0.95, 0.95, 0.95, 1.0, 1.1, 1.05)
    """Visits on each weekday from Monday, as a share of the mean."""
    need_visits_factor: float = 1.8
    """What a need that is due multiplies the visit rate by."""

    products_per_category: int = 30
    """Products in each of 25 categories, count."""
    launched_share: float = 0.2
    """Share of products launched evenly over the year; the others are there from the first day, 0 to 1."""
    outage_share: float = 0.06
    """Share of time a product is out of stock, 0 to 1."""
    outage_days: float = 8.0
    """Mean time out of stock, days."""

    taste_strength: float = 1.0
    """How much personal taste counts against general appeal; 0 not at all."""
    appeal_logit: float = 0.6
    """Standard deviation of the appeal of products to everybody, logits (so odds have a heavy tail)."""
    category_logit: float = 0.35
    """Weight of the log preference of a category, logits."""
    category_concentration: float = 0.25
    """Concentration of the Dirichlet distribution of category preferences; smaller means fewer favourites."""
    vector_logit: float = 0.5
    """Standard deviation of the match of taste and product vectors, logits."""
    vector_length: int = 6
    """Length of the vectors, count."""
    price_logit: float = 0.8
    """Loss between the price a shopper likes and the other end of the range, logits."""
    intention_logit: float = 1.0
    """Gain of products in the category the visit is about, logits."""
    complement_share: float = 0.4
    """Share of that gain for products that complement the category, 0 to 1."""
    need_logit: float = 1.5
    """Gain of a regular product whose need is due, logits."""
    at_home_logit: float = 2.0
    """Loss of a consumable that was just bought, falling to 0 over its cycle, logits."""
    owned_logit: float = 4.0
    """Loss of a durable product whose style the shopper owns, logits."""
    fatigue_logit: float = 0.1
    """Loss for each earlier showing without a click, up to 5, logits."""
    fatigue_days: float = 7.0
    """Half-life of earlier showings, days."""

    click_logit: float = -5.4
    """Log odds of a click on an average product that is looked at."""
    examination_exponent: float = 0.3
    """Position j is looked at with probability j to the power of minus this."""
    list_length: int = 10
    """Places of a list, count."""
    product_list_share: float = 0.8
    """Share of first product pages with a list that is looked at, 0 to 1."""

    buy_logit: float = -4.4
    """Log odds of buying an average product on its page."""
    buy_slope: float = 1.0
    """What a click's utility counts for buying, share."""
    quality_logit: float = 0.4
    """Standard deviation of what only the page shows and makes people buy, logits."""
    satisfied_factor: float = 0.5
    """What an earlier purchase in the visit multiplies later chances of buying by."""
    added_share: float = 0.08
    """Share of page views without a purchase that put the product into the cart, 0 to 1."""

    views_per_visit: float = 1.0
    """Mean products a visit looks at without any list, count (at most 6)."""
    choice_slope: float = 2.0
    """What a click's utility counts for what shoppers look at without a list, share."""
    same_category_share: float = 0.8
    """Share of those in the category the visit is about, 0 to 1."""
    due_visits_share: float = 0.6
    """Share of visits that are about the need, where one is due, 0 to 1."""
    search_share: float = 0.4
    """Share of visits about a need that find the product without a list, 0 to 1."""

    regulars: float = 2.5
    """Mean consumables a shopper needs regularly at the start, count."""
    habit_share: float = 0.35
    """Share of first purchases of a consumable that become regular, 0 to 1."""
    cycle_days: float = 32.0
    """Median cycle of a consumable, days."""
    cycle_spread: float = 0.4
    """Standard deviation of log cycles over products, and over shoppers, each divided by the square root of 2."""
    cycle_shape: float = 2.0
    """Shape of the gamma distribution of the gaps of one shopper's need; larger is more regular."""
    elsewhere_days: float = 12.0
    """Mean time until a need that is due is met elsewhere, days."""

    margin_shares: tuple[float, float] = (0.2, 0.6)
    """Lowest and highest margin of products, as a share of the price."""


DEFAULT_STOREFRONT = StorefrontSettings()
"""The default storefront. Its numbers come from published and measured ranges, and are not changed to suit a policy."""
