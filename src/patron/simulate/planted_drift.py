"""Changes that are planted from a day on, so that what alarms should notice is known; none in the default shop."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from patron.simulate.event_batches import CODE, DAY_US, Batch
from patron.simulate.leaving_causes import NO_CAUSE
from patron.simulate.population import People
from patron.simulate.product_catalogue import Catalogue
from patron.simulate.simulator_settings import PlantedDrift


def with_hazard_drift(people: People, drift: PlantedDrift | None) -> People:
    """People who leave faster from the day of the drift on; those with a planted cause leave as it says."""
    if drift is None or drift.hazard_factor == 1.0:
        return people
    begins = np.maximum(drift.from_day, people.signup_day)
    leaves = people.natural_dropout_day
    is_hit = (people.cause == NO_CAUSE) & (leaves > begins) & ~people.is_visitor
    sooner = begins + np.ceil(np.maximum(leaves - begins, 0) / drift.hazard_factor).astype(np.int64)
    return replace(
        people,
        cause_day=np.where(is_hit, begins, people.cause_day),
        left_day=np.where(is_hit, sooner, people.left_day),
    )


def split_by_drift(events: Batch, goods: Catalogue, drift: PlantedDrift | None) -> Iterator[tuple[Batch, Catalogue]]:
    """Events in order of time as the shop sends them, with the catalogue whose prices they have."""
    if drift is None:
        yield events, goods
        return
    begins = int(np.searchsorted(events.time_us, drift.from_day * DAY_US))
    yield events.rows(np.arange(begins)), goods
    is_lost = (events.name == CODE["Product Viewed"]) & drift.are_views_lost
    sent = events.rows(np.flatnonzero((np.arange(len(events)) >= begins) & ~is_lost))
    factor = drift.amount_factor
    lines = replace(sent.lines, discount_cents=sent.lines.discount_cents * factor)
    shipping = np.where(sent.shipping_cents > 0, sent.shipping_cents * factor, sent.shipping_cents)
    price = np.where(sent.contract_price_cents > 0, sent.contract_price_cents * factor, sent.contract_price_cents)
    sent = replace(sent, lines=lines, shipping_cents=shipping, contract_price_cents=price)
    yield sent, replace(goods, price_cents=goods.price_cents * factor)
