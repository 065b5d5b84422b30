"""Who comes to the shop: arrivals, and what each person is like beneath what the shop can see."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from scipy import special

from patron.simulate.leaving_causes import NEVER, leaving_causes
from patron.simulate.random_streams import Draws, choose, gamma_quantile
from patron.simulate.simulator_settings import CLASSES, PERSUADABLE, PUT_OFF, WOULD_BUY_ANYWAY, SimulatorSettings

CHANNELS = ("search", "social", "ads", "direct", "referral")
"""How people find the shop; referral is last because its share is a setting."""
CHANNEL_WEIGHTS = (0.32, 0.18, 0.28, 0.22)
CHANNEL_LIFETIME = np.array([1.0, 0.85, 0.7, 1.15, 1.4])
"""Mean lifetime of a channel's customers, as a share of the shop's."""
REFERRAL, DIRECT = 4, 3
DEVICES = ("desktop", "mobile", "tablet")
INCOMES = ("under 25K", "25-50K", "50-75K", "75-100K", "over 100K")
REGIONS = ("north", "east", "south", "west")
CITY_WEIGHTS = (0.2, 0.25, 0.35, 0.2)


@dataclass(frozen=True)
class People:
    """One row per person, in order of index; days count from the shop's first day."""

    person: np.ndarray
    is_visitor: np.ndarray
    first_visit_day: np.ndarray
    signup_day: np.ndarray
    channel: np.ndarray
    referrer: np.ndarray
    """Person who referred this one, or -1."""
    orders_per_day: np.ndarray
    visits_per_day: np.ndarray
    hazard_per_day: np.ndarray
    patience: np.ndarray
    """Cumulative hazard at which the customer leaves for good."""
    slowing_days: np.ndarray
    """Time in which interest falls to 37 %, days; infinite for those whose interest stays."""
    cause: np.ndarray
    """Planted cause of leaving: index into CAUSES, or -1."""
    cause_day: np.ndarray
    """Day on which the cause strikes."""
    left_day: np.ndarray
    """Day by which the cause has driven them away."""
    fading_days: np.ndarray
    """Time from the cause's day in which interest falls to 37 %, days; infinite but for those it slows down."""
    price_sensitivity: np.ndarray
    """0 to 1."""
    klass: np.ndarray
    """Index into CLASSES."""
    lift_share: np.ndarray
    nudge_orders: np.ndarray
    redeemed_share: np.ndarray
    annoyance: np.ndarray
    """Hazard that one offer adds."""
    opened_share: np.ndarray
    coupon_share: np.ndarray
    """Share of orders that use the newsletter's code."""
    refunded_share: np.ndarray
    reviewed_share: np.ndarray
    further_lines: np.ndarray
    recommendation_interest: np.ndarray
    """Chance to click a well matched recommendation in a visit."""
    favourites: np.ndarray
    """Three favourite categories, shape (people, 3)."""
    hour: np.ndarray
    """Usual hour of visits, UTC."""
    device: np.ndarray
    income: np.ndarray
    household_size: np.ndarray
    region: np.ndarray
    is_in_group_b: np.ndarray
    """Whether the person is in group b of the sensitive trait."""
    lingers: np.ndarray
    """Whether the person goes on visiting and opening messages after leaving for good."""

    def __len__(self) -> int:
        return len(self.person)

    def rows(self, which: np.ndarray) -> Self:
        """Some of the people, by position or mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def followed_by(self, others: Self) -> Self:
        """These people and then others."""
        return type(self)(
            **{f.name: np.concatenate([getattr(self, f.name), getattr(others, f.name)]) for f in fields(self)}
        )

    @property
    def dropout_day(self) -> np.ndarray:
        """First day on which the person is gone for good when no offer adds to the hazard."""
        natural = self.natural_dropout_day
        return np.where(natural > self.cause_day, np.minimum(natural, self.left_day), natural)

    @property
    def natural_dropout_day(self) -> np.ndarray:
        """The same, without planted causes."""
        lived = np.minimum(np.ceil(self.patience / self.hazard_per_day), NEVER / 2).astype(np.int64)
        return np.where(self.is_visitor, self.first_visit_day, self.signup_day) + np.maximum(lived, 1)


def people_until(day: int, settings: SimulatorSettings) -> int:
    """How many people have index and first visit before a day."""
    opening = settings.customers * min(day / settings.opening_days, 1.0)
    monthly = settings.customers * settings.arrivals_per_month_share
    later = monthly * max(day - settings.opening_days, 0) / 30
    return int(np.ceil((opening + later) * settings.visitor_every / (settings.visitor_every - 1)))


def make_people(
    index: np.ndarray, before: People | None, categories: int, shop: SimulatorSettings, draws: Draws
) -> People:
    """Make the people of these consecutive indices; `before` are all people of lower index, who may refer them.

    What a person is like depends on seed and index, and the referrer on people of lower index, never on decisions.
    """
    is_visitor = index % shop.visitor_every == shop.visitor_every - 1
    first_visit = _first_visit_day(index, shop)
    signup = first_visit + np.maximum(np.floor(draws.uniform("lag", index) * 20).astype(np.int64) - 9, 0)
    drawn = choose(CHANNEL_WEIGHTS, draws.uniform("channel", index))
    channel = np.where(draws.below("referral", shop.referred_share, index), REFERRAL, drawn)
    income = choose((0.18, 0.3, 0.26, 0.16, 0.1), draws.uniform("income", index))
    household = 1 + choose((0.3, 0.33, 0.17, 0.14, 0.06), draws.uniform("household", index))
    sensitivity = special.ndtr(-0.45 * (income - 1.7) / 1.2 + 0.89 * draws.normal("sensitivity", index))
    orders, hazard = _rates(index, channel, household, shop, draws)
    slows = draws.below("slows", shop.slowing_share, index)
    slowing = np.where(slows, shop.slowing_days * (0.4 + 0.6 * draws.exponential("slowing", index)), np.inf)
    is_in_group_b = draws.below("sensitive group", shop.sensitive_group_share, index)
    klass = _classes(index, sensitivity, slows, orders / shop.orders_per_day, draws)
    answers = _answers(index, klass, shop, draws)
    hazard = np.where(is_visitor, 0.12, hazard)
    people = People(
        person=index,
        is_visitor=is_visitor,
        first_visit_day=first_visit,
        signup_day=np.where(is_visitor, NEVER, signup),
        channel=channel,
        referrer=np.full(len(index), -1),
        orders_per_day=np.where(is_visitor, 0.0, orders),
        visits_per_day=shop.visits_per_day
        * (orders / shop.orders_per_day) ** 0.5
        * _lognormal("visits", 0.5, index, draws),
        hazard_per_day=hazard,
        patience=draws.exponential("patience", index),
        slowing_days=slowing,
        price_sensitivity=sensitivity,
        klass=klass,
        coupon_share=np.clip(0.03 + 0.55 * sensitivity**2 + 0.06 * draws.normal("coupons", index), 0.0, 0.9),
        refunded_share=np.clip(shop.refunded_share * draws.exponential("refunds", index), 0.0, 0.5),
        reviewed_share=np.clip(shop.reviewed_share * draws.exponential("reviews", index), 0.0, 0.5),
        further_lines=shop.lines_per_order * _lognormal("lines", 0.35, index, draws) * (0.85 + 0.07 * household),
        recommendation_interest=np.clip(0.14 * draws.exponential("interest", index), 0.0, 0.7),
        favourites=np.stack([_favourite(index, rank, categories, draws) for rank in range(3)], axis=1),
        hour=np.clip(16.5 + 3.5 * draws.normal("hour", index), 6.0, 22.5),
        device=choose((0.4, 0.52, 0.08), draws.uniform("device", index)),
        income=income,
        household_size=household,
        region=choose(CITY_WEIGHTS, draws.uniform("region", index)),
        is_in_group_b=is_in_group_b,
        lingers=is_in_group_b & ~is_visitor & draws.below("lingers on", shop.lingering_share, index),
        **answers,
        **leaving_causes(index, signup, is_visitor, shop, draws),
    )
    return _with_referrers(people, before, draws)


def _first_visit_day(index: np.ndarray, shop: SimulatorSettings) -> np.ndarray:
    """Arrivals spread evenly over the opening, then evenly over each month (the inverse of people_until)."""
    customers = index * (shop.visitor_every - 1) / shop.visitor_every
    opening = customers / shop.customers * shop.opening_days
    monthly = max(shop.customers * shop.arrivals_per_month_share, 1e-9)
    later = shop.opening_days + (customers - shop.customers) / monthly * 30
    return np.floor(np.where(customers < shop.customers, opening, later)).astype(np.int64)


def _lognormal(stream: str, sigma: float, index: np.ndarray, draws: Draws) -> np.ndarray:
    """Factors with mean 1."""
    return np.exp(sigma * draws.normal(stream, index) - sigma**2 / 2)


def _rates(
    index: np.ndarray, channel: np.ndarray, household: np.ndarray, shop: SimulatorSettings, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Order rates and drop-out hazards: two gammas and a normal copula, moved a little by what the shop can see."""
    first = draws.normal("order rate", index)
    correlation = shop.rate_and_dropout_correlation
    second = correlation * first + np.sqrt(1 - correlation**2) * draws.normal("dropout rate", index)
    orders = gamma_quantile(special.ndtr(first), shop.orders_shape, shop.orders_per_day) * (0.84 + 0.07 * household)
    hazard = gamma_quantile(special.ndtr(second), shop.dropout_shape, 1 / shop.lifetime_days)
    return np.maximum(orders, 1e-5), np.maximum(hazard / CHANNEL_LIFETIME[channel], 1e-7)


def _classes(
    index: np.ndarray, sensitivity: np.ndarray, slows: np.ndarray, relative_rate: np.ndarray, draws: Draws
) -> np.ndarray:
    """Class of each person: a logit choice that what the shop can observe explains in part only."""
    utility = np.zeros((len(CLASSES), len(index)))
    utility[PERSUADABLE] = -1.0 + 3.2 * (sensitivity - 0.5) + 1.5 * (slows - 0.45)
    utility[WOULD_BUY_ANYWAY] = -0.45 + 0.7 * np.log(relative_rate + 0.1) - 0.6 * (slows - 0.45)
    utility[PUT_OFF] = -1.3 - 2.0 * (sensitivity - 0.5)
    noise = np.stack([draws.gumbel(f"class {name}", index) for name in CLASSES])
    return np.argmax(utility + noise, axis=0)


def _answers(index: np.ndarray, klass: np.ndarray, shop: SimulatorSettings, draws: Draws) -> dict[str, np.ndarray]:
    """Each person's own answer to an offer, around that of the class."""

    def of_class(field: str) -> np.ndarray:
        return np.array([getattr(answer, field) for answer in shop.responses])[klass]

    factor = _lognormal("answer", 0.5, index, draws)
    return {
        "lift_share": np.maximum(of_class("lift_share") * factor, -0.9),
        "nudge_orders": of_class("nudge_orders") * factor,
        "redeemed_share": of_class("redeemed_share"),
        "annoyance": of_class("dropout_hazard") * factor,
        "opened_share": np.clip(of_class("opened_share") + 0.12 * draws.normal("opens", index), 0.02, 0.95),
    }


def _favourite(index: np.ndarray, rank: int, categories: int, draws: Draws) -> np.ndarray:
    """Favourite category of a rank."""
    return np.floor(draws.uniform(f"favourite {rank}", index) * categories).astype(np.int64)


def _with_referrers(people: People, before: People | None, draws: Draws) -> People:
    """Give people who come by referral a customer who was there; who finds none came directly.

    A referrer is alive as if no offer had been made, so that arrivals are the same in every world of a seed.
    """
    everyone = people if before is None else before.followed_by(people)
    candidate = np.floor(draws.uniform("referrer", people.person) * people.person).astype(np.int64)
    at = people.signup_day
    is_there = ~everyone.is_visitor[candidate] & (everyone.signup_day[candidate] < at)
    referred = (people.channel == REFERRAL) & is_there & (everyone.dropout_day[candidate] > at) & ~people.is_visitor
    changed = {f.name: getattr(people, f.name) for f in fields(people)}
    changed["referrer"] = np.where(referred, candidate, -1)
    changed["channel"] = np.where((people.channel == REFERRAL) & ~referred, DIRECT, people.channel)
    return People(**changed)
