"""Who orders and who visits on which day: seasons, waning interest, and what offers do to them."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from patron.simulate.leaving_causes import BAD_DELIVERY, BAD_REVIEW, REPLACEMENT_DAYS
from patron.simulate.population import People
from patron.simulate.simulator_settings import Offer, SimulatorSettings

NUDGE_DECAY_DAYS = 10.0
"""How fast an offer is forgotten, days."""
WEEKDAY_WEIGHT = np.array([0.95, 0.9, 0.92, 0.96, 1.05, 1.16, 1.06])
"""Demand by weekday, Monday first; the mean is 1."""
SALES = (((1, 3), 9), ((7, 1), 12), ((11, 22), 9))
"""The yearly sales: (month, day) of the first day, and length in days."""


@dataclass(frozen=True)
class Exposure:
    """Offers in force: one row per exposure, in order of time."""

    person: np.ndarray
    offer: np.ndarray
    day: np.ndarray
    """First day on which the offer acts."""
    strength: np.ndarray
    """Attraction of the offer to this person, 20 % without fatigue being 1."""

    def rows(self, which: np.ndarray) -> "Exposure":
        """Some of the exposures."""
        return Exposure(self.person[which], self.offer[which], self.day[which], self.strength[which])

    def followed_by(self, other: "Exposure") -> "Exposure":
        """These exposures and then later ones."""
        return Exposure(
            np.concatenate([self.person, other.person]),
            np.concatenate([self.offer, other.offer]),
            np.concatenate([self.day, other.day]),
            np.concatenate([self.strength, other.strength]),
        )


_NOBODY = np.empty(0, np.int64)
NO_EXPOSURE = Exposure(_NOBODY, _NOBODY, _NOBODY, np.empty(0))


@dataclass(frozen=True)
class ActiveOffers:
    """The offer in force for each day and person, shape (days, people)."""

    offer: np.ndarray
    """Index of the offer, or -1."""
    strength: np.ndarray
    nudge_weight: np.ndarray
    """Share of the nudge that acts on this day."""


def strength_of(offer: Offer, settings: SimulatorSettings) -> float:
    """How attractive an offer is: 20 % is 1, and twice the discount is less than twice as attractive."""
    worth = offer.discount_share + settings.free_shipping_worth_share * offer.is_free_shipping
    worth += settings.points_worth_share * offer.points_share + offer.attention_share
    return (worth / 0.2) ** 0.8


def is_sale(settings: SimulatorSettings, days: np.ndarray) -> np.ndarray:
    """Whether each day belongs to one of the yearly sales."""
    dates = [settings.start + timedelta(days=int(day)) for day in days]
    return np.array([any(0 <= (d - date(d.year, *first)).days < length for first, length in SALES) for d in dates])


def season(settings: SimulatorSettings, days: np.ndarray) -> np.ndarray:
    """Demand of each day as a share of the average day: weekdays and the time of the year."""
    dates = [settings.start + timedelta(days=int(day)) for day in days]
    weekday = WEEKDAY_WEIGHT[[d.weekday() for d in dates]]
    of_year = np.array([d.timetuple().tm_yday for d in dates])
    yearly = 0.18 * np.cos(2 * np.pi * (of_year - 345) / 365.25) + 0.25 * np.exp(-(((of_year - 346) / 9.0) ** 2))
    return weekday * (1 + settings.season_strength * yearly)


def interest(people: People, days: np.ndarray) -> np.ndarray:
    """Share of the first interest that is left, shape (days, people)."""
    age = np.maximum(days[:, None] - people.signup_day[None, :], 0)
    faded = np.maximum(days[:, None] - people.cause_day[None, :], 0)
    return np.exp(-age / people.slowing_days[None, :] - faded / people.fading_days[None, :])


def order_chance(
    people: People, days: np.ndarray, settings: SimulatorSettings, offers: ActiveOffers | None
) -> np.ndarray:
    """Probability that a living customer orders on a day, shape (days, people)."""
    eager = 1 + np.outer(is_sale(settings, days), 0.3 + 0.8 * people.price_sensitivity)
    rate = people.orders_per_day * season(settings, days)[:, None] * interest(people, days) * eager
    if offers is not None:
        rate = rate * (1 + people.lift_share * np.minimum(offers.strength, 1 / 0.9))
        rate += people.nudge_orders * offers.strength * offers.nudge_weight
    return -np.expm1(-rate)


def is_planted_order(people: People, days: np.ndarray) -> np.ndarray:
    """Whether a planted cause begins with an order on a day, or has a bad delivery replaced, shape (days, people)."""
    since = days[:, None] - people.cause_day
    is_bad = (people.cause == BAD_DELIVERY) | (people.cause == BAD_REVIEW)
    return (is_bad & (since == 0)) | ((people.cause == BAD_DELIVERY) & (since == REPLACEMENT_DAYS))


def visit_chance(people: People, days: np.ndarray, settings: SimulatorSettings) -> np.ndarray:
    """Probability of a visit without a purchase, shape (days, people); prospects look around before they sign up."""
    eager = 1 + 0.5 * is_sale(settings, days)
    rate = people.visits_per_day * (season(settings, days) * eager)[:, None] * interest(people, days) ** 0.7
    looking = (days[:, None] < people.signup_day) & (days[:, None] >= people.first_visit_day)
    chance = np.where(looking, 0.45, -np.expm1(-rate))
    return np.where(days[:, None] == people.first_visit_day, 1.0, chance)


def nudge_weights(settings: SimulatorSettings) -> np.ndarray:
    """How an offer's nudge is spread over the days it is valid; the sum is 1."""
    weight = np.exp(-np.arange(settings.offer_days) / NUDGE_DECAY_DAYS)
    return weight / weight.sum()


def active_offers(exposure: Exposure, people: People, days: np.ndarray, settings: SimulatorSettings) -> ActiveOffers:
    """Spread exposures over days and people (sorted by index); a later offer replaces an earlier one."""
    shape = (len(days), len(people))
    offer = np.full(shape, -1)
    strength = np.zeros(shape)
    weight = np.zeros(shape)
    by_age = nudge_weights(settings)
    at = np.searchsorted(people.person, exposure.person)
    known = (at < len(people)) & (people.person[np.minimum(at, len(people) - 1)] == exposure.person)
    at, exposure = at[known], exposure.rows(known)
    for row, day in enumerate(days):
        age = day - exposure.day
        now = (age >= 0) & (age < settings.offer_days)
        offer[row, at[now]] = exposure.offer[now]
        strength[row, at[now]] = exposure.strength[now]
        weight[row, at[now]] = by_age[age[now]]
    return ActiveOffers(offer, strength, weight)


def added_hazard(exposure: Exposure, people: People, days: np.ndarray) -> np.ndarray:
    """Hazard that offers before and on each day have added, shape (days, people)."""
    at = np.searchsorted(people.person, exposure.person)
    known = (at < len(people)) & (people.person[np.minimum(at, len(people) - 1)] == exposure.person)
    at, day = at[known], exposure.day[known]
    added = np.zeros((len(days), len(people)))
    now = day <= days[-1]
    row = np.maximum(day[now] - days[0], 0)
    np.add.at(added, (row, at[now]), people.annoyance[at[now]])
    return np.cumsum(added, axis=0)


def is_alive(people: People, days: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Whether each person has arrived and not left for good, shape (days, people)."""
    day = days[:, None]
    alive = (day >= people.first_visit_day) & (day < people.dropout_day)
    if len(exposure.person):
        age = np.maximum(day - people.signup_day, 0)
        gone = people.hazard_per_day * age + added_hazard(exposure, people, days) >= people.patience
        alive &= ~gone | (day <= people.signup_day)
    return alive


def dropout_days(people: People, exposure: Exposure) -> np.ndarray:
    """First day on which each person is gone for good, with the hazard that offers made so far have added."""
    out, added = people.dropout_day, np.zeros(len(people))
    at = np.searchsorted(people.person, exposure.person)
    known = (at < len(people)) & (people.person[np.minimum(at, len(people) - 1)] == exposure.person)
    at, day = at[known], exposure.day[known]
    for one in np.unique(day):
        hit = at[(day == one) & (out[at] > day)]
        added[hit] += people.annoyance[hit]
        left = np.ceil((people.patience[hit] - added[hit]) / people.hazard_per_day[hit])
        sooner = np.maximum(people.signup_day[hit] + np.minimum(left, 2**39).astype(np.int64), one)
        out[hit] = np.minimum(out[hit], sooner)
    return out
