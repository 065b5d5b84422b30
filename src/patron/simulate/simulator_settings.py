"""What a simulated shop is like: every number with its unit. The default shop was fixed before any policy met it."""

from dataclasses import dataclass, replace
from datetime import date

CLASSES = ("persuadable", "indifferent", "would_buy_anyway", "put_off")
"""How customers answer offers: buy because of them, take no notice, only save money, or run away."""
PERSUADABLE, INDIFFERENT, WOULD_BUY_ANYWAY, PUT_OFF = range(len(CLASSES))


@dataclass(frozen=True)
class Offer:
    """One offer the shop may make."""

    offer_id: str
    """Id, also the coupon code of orders that use it."""
    discount_share: float = 0.0
    """Share of the goods' price taken off, 0 to 1."""
    is_free_shipping: bool = False
    """Whether the shop pays the shipping."""
    points_share: float = 0.0
    """Share of the price that orders with it credit in points, 0 to 1."""
    attention_share: float = 0.0
    """Discount that is as attractive as being reminded or called alone, 0 to 1."""
    contact_cents: int = 5
    """Cost of one contact, cents."""
    is_call: bool = False
    """Whether people make the contact; a call is no message that could be opened."""

    @property
    def has_code(self) -> bool:
        """Whether orders can use it: a reminder and a call leave the price as it is."""
        return bool(self.discount_share or self.is_free_shipping or self.points_share)


@dataclass(frozen=True)
class Response:
    """How one class of customers answers an offer of 20 % (the answers of the customers in it vary around this)."""

    lift_share: float
    """Change of the order rate while the offer is valid, as a share of the rate."""
    nudge_orders: float
    """Extra orders an offer prompts even from a customer whose own rate is near 0, expected number."""
    redeemed_share: float
    """Share of orders placed while the offer is valid that use it, 0 to 1."""
    dropout_hazard: float = 0.0
    """Hazard of leaving for good that one exposure adds, whatever the discount."""
    opened_share: float = 0.38
    """Share of messages opened, 0 to 1."""


@dataclass(frozen=True)
class PlantedDrift:
    """A change of the shop, or of what it sends, that is planted from a day on."""

    from_day: int
    """First day of the change, days since the shop's first."""
    are_views_lost: bool = False
    """Whether Product Viewed is no longer sent."""
    amount_factor: int = 1
    """What all amounts are multiplied by in what is sent, as by an error of the unit."""
    hazard_factor: float = 1.0
    """What the hazard of leaving is multiplied by."""


@dataclass(frozen=True)
class SimulatorSettings:
    """A simulated shop."""

    start: date = date(2024, 1, 1)
    """First day, UTC."""
    customers: int = 2_000
    """Customers who sign up in the opening weeks, count."""
    opening_days: int = 60
    """Length of the opening, days."""
    arrivals_per_month_share: float = 0.04
    """New customers per 30 days after the opening, as a share of `customers`."""
    visitor_every: int = 6
    """Every n-th person never signs up and stays anonymous, count."""

    orders_per_day: float = 0.022
    """Mean order rate of a living customer, orders a day."""
    orders_shape: float = 1.1
    """Shape of the gamma distribution of order rates; smaller is more unequal."""
    lifetime_days: float = 420.0
    """Inverse of the mean drop-out hazard, days."""
    dropout_shape: float = 1.6
    """Shape of the gamma distribution of drop-out hazards."""
    rate_and_dropout_correlation: float = -0.25
    """Correlation of order rate and drop-out hazard (normal copula): good customers stay longer."""
    slowing_share: float = 0.45
    """Share of customers whose interest wanes, 0 to 1."""
    slowing_days: float = 220.0
    """Mean time in which a waning interest falls to 37 %, days."""
    leaving_cause_shares: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Shares of customers whom a bad delivery with returns, a one-star review, or slowing down drives away, 0 to 1."""
    until_cause_days: float = 150.0
    """Mean time from 30 days after sign-up to such a cause, days."""
    cause_to_leaving_days: float = 10.0
    """Mean time from when a cause can be seen to leaving for good, days."""
    fading_days: float = 30.0
    """Time in which the interest of those whom the cause slows down falls to 37 %, days."""
    sensitive_group_share: float = 0.0
    """Share of people in group b of a sensitive trait, gender, which all declare at sign-in; 0: nobody declares it."""
    lingering_share: float = 0.0
    """Share of group b who go on visiting and opening messages after they have left for good, 0 to 1."""
    visits_per_day: float = 0.085
    """Mean rate of visits without a purchase, visits a day."""
    signup_without_order_share: float = 0.1
    """Share of customers who sign up without ordering that day, 0 to 1."""

    contract_share: float = 0.0
    """Share of customers who sign a contract of 30-day terms, 0 to 1."""
    until_contract_days: float = 30.0
    """Mean time from sign-up to the contract, days; who leaves for good before signs none."""
    contract_price_cents: int = 1_500
    """Price of a term, cents."""
    not_renewed_shares: tuple[float, float, float] = (0.7, 0.2, 0.05)
    """Shares not renewed: of who has left the shop for good, of other first terms, of all others, 0 to 1."""
    contract_cancelled_share: float = 0.3
    """Share of those not renewed that are cancelled ten days before the end, 0 to 1."""

    season_strength: float = 1.0
    """How much demand follows the time of the year: 0 not at all, 1 as in most shops, 3 as in a shop of gifts."""
    drift: PlantedDrift | None = None
    """A planted change, so that what alarms should notice is known; none in the default shop."""

    departments: int = 5
    """Departments, count (at most 5)."""
    products_per_category: int = 24
    """Products in each of the five categories of a department, count."""
    lines_per_order: float = 1.3
    """Mean number of further lines of an order (cut at 5), count."""

    margin_share: float = 0.45
    """Gross margin before discounts, as a share of the goods' price."""
    shipping_cents: int = 495
    """Shipping charged below the free-shipping threshold, cents (it costs the shop as much)."""
    free_shipping_from_cents: int = 6_000
    """Goods' price from which shipping is free for everybody, cents."""
    newsletter_discount_share: float = 0.05
    """Discount of the code in the monthly newsletter, which price-sensitive customers use more, 0 to 1."""
    sale_discount_share: float = 0.15
    """Discount on everything during the three yearly sales, 0 to 1."""
    refunded_share: float = 0.07
    """Mean share of orders of which something is sent back, 0 to 1."""
    reviewed_share: float = 0.07
    """Mean share of order lines that are reviewed, 0 to 1."""
    referred_share: float = 0.14
    """Share of prospects who come by referral, where a living referrer is found, 0 to 1."""

    offers: tuple[Offer, ...] = (
        Offer("SAVE10", 0.10),
        Offer("SAVE20", 0.20),
        Offer("FREESHIP", is_free_shipping=True),
    )
    """The offers that may be made."""
    offer_days: int = 30
    """How long an offer is valid from exposure, days."""
    free_shipping_worth_share: float = 0.06
    """Discount that a customer finds as attractive as free shipping, 0 to 1."""
    points_worth_share: float = 0.8
    """Discount that is as attractive as points for the same share of the price, as a share of it, 0 to 1."""
    points_redeemed_share: float = 0.7
    """Share of credited points that are redeemed before they expire, 0 to 1; only those cost the shop."""
    fatigue_share: float = 0.25
    """How much weaker each offer of the last 90 days makes the next one, 0 to 1."""
    responses: tuple[Response, Response, Response, Response] = (
        Response(lift_share=0.5, nudge_orders=0.5, redeemed_share=1.0, opened_share=0.48),
        Response(lift_share=0.03, nudge_orders=0.0, redeemed_share=0.35, opened_share=0.33),
        Response(lift_share=0.02, nudge_orders=0.0, redeemed_share=1.0, opened_share=0.42),
        Response(lift_share=-0.3, nudge_orders=0.0, redeemed_share=0.25, dropout_hazard=0.06, opened_share=0.2),
    )
    """Answers of the classes, in the order of CLASSES."""
    recommendation_days: int = 30
    """How long recommended products are shown from exposure, days."""
    recommendation_conversion_share: float = 0.06
    """Chance that a visit becomes an order by a well matched recommendation that was clicked, 0 to 1."""


DEFAULT_SHOP = SimulatorSettings()
"""The default shop. Its numbers are not changed to suit a policy."""

CATALOGUE_SHOP = replace(
    DEFAULT_SHOP,
    offers=(
        *DEFAULT_SHOP.offers,
        Offer("REMINDER", attention_share=0.02),
        Offer("POINTS10", points_share=0.10),
        Offer("CALL", attention_share=0.15, contact_cents=400, is_call=True),
    ),
)
"""The default shop with the whole catalogue: also a kind reminder, points and a call. Fixed before any policy met it.

The reminder prompts about two orders in a hundred messages, the usual order of magnitude of mails without an incentive.
Points for 10 % attract as 8 % do, because they come later and on the next order only, and cost 7 %: a third expires.
A call attracts as 15 % do, and costs ten minutes at $24 an hour. All three annoy and tire as every exposure does.
"""
