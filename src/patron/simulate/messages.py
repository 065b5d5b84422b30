"""Messages: the shop's own monthly newsletter, and who opens it and the offers."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from patron.simulate.demand import interest
from patron.simulate.event_batches import DAY_US, STEPS, Batch, make_batch
from patron.simulate.population import People
from patron.simulate.random_streams import Draws
from patron.simulate.simulator_settings import SimulatorSettings
from patron.simulate.visits import DAY_SPAN

HOUR_US = 3_600_000_000
CLICKED_SHARE = 0.22
"""Share of opened messages that are clicked."""


@dataclass(frozen=True)
class DeliveredMessages:
    """Messages that reached people: one row each."""

    number: np.ndarray
    person: np.ndarray
    sent_us: np.ndarray
    is_opened: np.ndarray
    first_step: np.ndarray
    """Step of the event number of each opening; a click has the next."""


def newsletter_days(shop: SimulatorSettings, days: np.ndarray) -> np.ndarray:
    """The days (first of each month but the shop's first) on which the newsletter goes out."""
    firsts = [day for day in days if day > 0 and (shop.start + timedelta(days=int(day))).day == 1]
    return np.array(firsts, dtype=np.int64)


def newsletter(day: int, people: People, alive: np.ndarray, shop: SimulatorSettings, draws: Draws) -> list[Batch]:
    """The newsletter of a day: sent to everyone who ever signed up, opened only by those who are still there."""
    to = np.flatnonzero(people.signup_day < day)
    number = people.person[to] * DAY_SPAN + day
    sent_us = np.full(len(to), day * DAY_US + 8 * HOUR_US)
    left = interest(people.rows(to), np.array([day]))[0]
    opens = alive[to] & draws.below("open", people.opened_share[to] * (0.4 + 0.6 * left), number)
    at = shop.start + timedelta(days=day)
    campaign = np.full(len(to), (at.year - shop.start.year) * 12 + at.month - shop.start.month)
    sent = make_batch("Message Sent", number * STEPS + 120, sent_us, people.person[to], campaign=campaign)
    delivered = DeliveredMessages(
        number, people.person[to], sent_us=sent_us, is_opened=opens, first_step=np.full(len(to), 121)
    )
    return [sent, *_openings_and_clicks(delivered, {"campaign": campaign}, draws)]


def offer_responses(
    person: np.ndarray, exposed_us: np.ndarray, decision: np.ndarray, alive: np.ndarray, people: People, draws: Draws
) -> list[Batch]:
    """Who opens and clicks the offers that were sent; of two on one day a person opens both or none."""
    number = person * DAY_SPAN + exposed_us // DAY_US
    opens = alive & draws.below("open offer", people.opened_share[person], number)
    # why: an offer at midnight acts on that day and one later on the next, so a day can have one of each
    first_step = np.where(exposed_us % DAY_US == 0, 131, 133)
    return _openings_and_clicks(
        DeliveredMessages(number, person, sent_us=exposed_us, is_opened=opens, first_step=first_step),
        {"decision": decision},
        draws,
    )


def _openings_and_clicks(delivered: DeliveredMessages, about: dict[str, np.ndarray], draws: Draws) -> list[Batch]:
    """Openings and clicks, some hours after the message; `about` are columns of each letter."""
    number = delivered.number
    hours = 7 * np.minimum(draws.exponential("open after", number), 20)
    opened_us = delivered.sent_us + 60_000_000 + np.floor(HOUR_US * hours).astype(np.int64)
    clicks = delivered.is_opened & draws.below("message click", CLICKED_SHARE, number)

    def of(name: str, which: np.ndarray, later: int) -> Batch:
        columns = {key: values[which] for key, values in about.items()}
        steps = number[which] * STEPS + delivered.first_step[which] + later
        return make_batch(name, steps, opened_us[which] + later * 40_000_000, delivered.person[which], **columns)

    return [of("Message Opened", delivered.is_opened, 0), of("Message Clicked", clicks, 1)]


def campaign_names(shop: SimulatorSettings, months: int) -> list[str]:
    """Campaign ids by month since the shop's first."""
    first = shop.start.year * 12 + shop.start.month - 1
    return [f"newsletter-{(first + m) // 12}-{(first + m) % 12 + 1:02d}" for m in range(months)]
