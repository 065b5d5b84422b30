"""The simulated shop, day by day: exposures of customers in, their raw events out."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.errors import InvalidTable
from patron.simulate import contract_renewals, demand, messages, order_terms, recommendation_response, session_events
from patron.simulate.event_batches import (
    DAY_US,
    NONE,
    Batch,
    EventTexts,
    batch_as_raw_events,
    concatenate_batches,
    make_batch,
)
from patron.simulate.exposures import Exposures, read_exposures
from patron.simulate.planted_drift import split_by_drift, with_hazard_drift
from patron.simulate.population import People, make_people, people_until
from patron.simulate.product_catalogue import Catalogue, make_catalogue
from patron.simulate.random_streams import Draws
from patron.simulate.sign_in_traits import traits_and_identifiers
from patron.simulate.simulator_settings import DEFAULT_SHOP, SimulatorSettings
from patron.simulate.visits import DAY_SPAN, Visits, browse_products

CELLS_PER_BATCH = 1_500_000
"""Days times people that are worked on at once; bounds memory and changes no result."""
FATIGUE_DAYS = 90
CATALOGUE_NUMBER = 2**61
"""Event numbers of the catalogue's rows begin here, far beyond those of people."""
MAX_MONTHS = 12 * 100


class ShopSimulator:
    """A shop that is simulated day by day; the same seed and exposures give the same events.

    The random numbers of a person and day do not depend on what was offered, so two simulators of one seed differ
    only by the answers to their offers.
    """

    def __init__(self, settings: SimulatorSettings = DEFAULT_SHOP, seed: int = 0) -> None:
        self.settings = settings
        self.seed = seed
        self.draws = Draws(seed)
        self.catalogue = make_catalogue(settings, self.draws)
        self.people: People = self._arrivals(None, 0, max(people_until(1, settings), 1))
        self._start_us = int(datetime.combine(settings.start, datetime.min.time(), UTC).timestamp()) * 1_000_000
        self._day = 0
        self._pending: Batch = self._catalogue_rows()
        self._decisions: list[str] = []
        self._exposure = demand.NO_EXPOSURE
        self._recommended = recommendation_response.NO_RECOMMENDATIONS

    @property
    def now(self) -> datetime:
        """The simulated present: all events before it have been returned."""
        return datetime.combine(self.settings.start, datetime.min.time(), UTC) + timedelta(days=self._day)

    @property
    def day(self) -> int:
        """Days since the shop's first day."""
        return self._day

    @property
    def exposure(self) -> demand.Exposure:
        """Offers that have been made so far."""
        return self._exposure

    def history(self, days: int) -> pa.Table:
        """Events of the next days, when nobody is offered anything."""
        return self.advance(self.now + timedelta(days=days))

    def advance(
        self, until: date | datetime, offers: pa.Table | None = None, recommendations: pa.Table | None = None
    ) -> pa.Table:
        """Events from the present to `until` (midnight, UTC), given what reached customers in that time.

        `offers` has user_id, offer_id, decision_id, exposed_at; `recommendations` has product_id for offer_id, best
        first. Raises InvalidTable for times that do not fit, NotFound for ids the shop does not have.
        """
        last = self._day_of(until)
        self._add_arrivals(last)
        if offers is not None and offers.num_rows:
            self._apply_offers(
                self._read_exposures(offers, "offer_id", [o.offer_id for o in self.settings.offers], last)
            )
        if recommendations is not None and recommendations.num_rows:
            self._apply_recommendations(
                self._read_exposures(recommendations, "product_id", self.catalogue.product_id.to_pylist(), last)
            )
        event_tables = [RAW_EVENTS.empty_table()]
        while self._day < last:
            end = min(last, self._day + max(1, CELLS_PER_BATCH // len(self.people)))
            event_tables.append(self._emit_events(np.arange(self._day, end)))
            self._day = end
        return pa.concat_tables(event_tables)

    def _day_of(self, until: date | datetime) -> int:
        moment = until if isinstance(until, datetime) else datetime.combine(until, datetime.min.time(), UTC)
        passed = moment - datetime.combine(self.settings.start, datetime.min.time(), UTC)
        if passed % timedelta(days=1) or passed.days < self._day:
            raise InvalidTable(
                f"cannot advance from {self.now} to {until}",
                where="ShopSimulator.advance",
                todo="Give a later midnight in UTC.",
            )
        return passed.days

    def _arrivals(self, before: People | None, first: int, end: int) -> People:
        departments = min(self.settings.departments, 5)
        people = make_people(np.arange(first, end), before, departments * 5, self.settings, self.draws)
        return with_hazard_drift(people, self.settings.drift)

    def _add_arrivals(self, day: int) -> None:
        """Make the people who arrive before a day."""
        end = people_until(day + 1, self.settings)
        if end > len(self.people):
            self.people = self.people.followed_by(self._arrivals(self.people, len(self.people), end))

    def _read_exposures(self, rows: pa.Table, item: str, known: list[str], last: int) -> Exposures:
        window = (self._day * DAY_US, last * DAY_US)
        return read_exposures(rows, item, known, self.people, self._start_us, window)

    def _number_decisions(self, decisions: list[str]) -> np.ndarray:
        """Numbers that stand for decision ids."""
        first = len(self._decisions)
        self._decisions.extend(decisions)
        return np.arange(first, len(self._decisions))

    def _apply_offers(self, exposures: Exposures) -> None:
        """Put offers in offers; the last one of a person and day counts."""
        decision = self._number_decisions(exposures.decision)
        key = exposures.person * DAY_SPAN + exposures.day
        keep = len(key) - 1 - np.unique(key[::-1], return_index=True)[1]
        keep = keep[np.argsort(exposures.day[keep], kind="stable")]
        person = exposures.person[keep]
        item = exposures.item[keep]
        day = exposures.day[keep]
        base = np.array([demand.strength_of(offer, self.settings) for offer in self.settings.offers])[item]
        for one in np.unique(day):
            now = day == one
            recent = self._exposure.person[self._exposure.day > one - FATIGUE_DAYS]
            times = np.bincount(recent, minlength=len(self.people))[person[now]]
            strength = base[now] * (1 - self.settings.fatigue_share) ** times
            more = demand.Exposure(person[now], item[now], day[now], strength)
            self._exposure = self._exposure.followed_by(more)
        is_message = ~np.array([offer.is_call for offer in self.settings.offers])[item]
        alive = self._alive_on(person, day) & is_message
        exposed = exposures.exposed_us[keep]
        opened = messages.offer_responses(person, exposed, decision[keep], alive, self.people, self.draws)
        self._pending = concatenate_batches([self._pending, *opened])

    def _alive_on(self, person: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether each person is there on the day of the same row."""
        alive = np.zeros(len(person), dtype=bool)
        for one in np.unique(day):
            now = day == one
            there = demand.is_alive(self.people, np.array([one]), self._exposure)[0]
            alive[now] = there[person[now]]
        return alive

    def _apply_recommendations(self, exposures: Exposures) -> None:
        decision = self._number_decisions(exposures.decision)
        more = recommendation_response.ActiveRecommendations(exposures.person, exposures.item, decision, exposures.day)
        self._recommended = self._recommended.followed_by(more)

    def _emit_events(self, days: np.ndarray) -> pa.Table:
        """Events of some days, in order of time; what follows later waits."""
        events = concatenate_batches([self._pending, *self._simulate_days(days)])
        due = events.time_us < (days[-1] + 1) * DAY_US
        self._pending = events.rows(np.flatnonzero(~due))
        now = np.flatnonzero(due)
        emitted = events.rows(now[np.lexsort((events.number[now], events.time_us[now]))])
        return pa.concat_tables(
            self._as_raw_events(*sent) for sent in split_by_drift(emitted, self.catalogue, self.settings.drift)
        )

    def _as_raw_events(self, emitted: Batch, catalogue: Catalogue) -> pa.Table:
        traits, personal = traits_and_identifiers(
            emitted, self.people, self.draws, has_group=self.settings.sensitive_group_share > 0
        )
        event_texts = EventTexts(
            shop=f"s{self.seed}-",
            catalogue=catalogue,
            coupons=order_terms.coupon_codes(self.settings),
            campaigns=messages.campaign_names(self.settings, MAX_MONTHS),
            decisions=self._decisions,
        )
        return batch_as_raw_events(emitted, event_texts, traits, personal, self._start_us)

    def _simulate_days(self, days: np.ndarray) -> list[Batch]:
        """Everything that starts on these days."""
        visits, people = self._visits(days)
        shop = self.settings
        goods = self.catalogue
        draws = self.draws
        items = browse_products(visits, people, goods, draws)
        shown = recommendation_response.show_recommendations(self._recommended, visits, people, goods, shop, draws)
        visits, items = recommendation_response.add_bought_items(visits, items, shown, draws)
        session = session_events.sessions(visits, people, draws)
        placed = order_terms.place_orders(visits, items, people, goods, shop, draws)
        happened = [
            *session_events.browsing_events(visits, items, session, goods, draws),
            *session_events.sign_in_events(visits, people, session),
            *session_events.order_events(visits, placed, session),
            *session_events.recommendation_events(visits, shown, session),
            order_terms.refunds(placed, visits, people, draws),
            order_terms.reviews(placed, visits, people, goods, draws),
        ]
        if shop.contract_share:
            gone = demand.dropout_days(self.people, self._exposure)
            happened += contract_renewals.contract_events(self.people, gone, days, shop, draws)
        for day in messages.newsletter_days(shop, days):
            alive = demand.is_alive(self.people, np.array([day]), self._exposure)[0]
            alive |= self.people.lingers & (day >= self.people.signup_day)
            happened += messages.newsletter(int(day), self.people, alive, shop, draws)
        return happened

    def _visits(self, days: np.ndarray) -> tuple[Visits, People]:
        """Who comes on which of these days, and who of them orders."""
        there = (self.people.first_visit_day <= days[-1]) & ((self.people.dropout_day > days[0]) | self.people.lingers)
        people = self.people.rows(there)
        alive = demand.is_alive(people, days, self._exposure)
        offers = (
            demand.active_offers(self._exposure, people, days, self.settings) if len(self._exposure.person) else None
        )
        day, person = days[:, None], people.person[None, :]
        is_order = alive & (day > people.signup_day)
        is_order &= self.draws.uniform("order", person, day) < demand.order_chance(people, days, self.settings, offers)
        is_order |= alive & demand.is_planted_order(people, days)
        signs_up = day == people.signup_day
        is_order |= signs_up & (self.draws.uniform("first", person) >= self.settings.signup_without_order_share)
        looks = self.draws.uniform("visit", person, day) < demand.visit_chance(people, days, self.settings)
        is_there = alive | (people.lingers & (day > people.signup_day))
        at, row = np.nonzero(is_order | signs_up | (is_there & looks))
        dates = [self.settings.start + timedelta(days=int(d)) for d in days]
        visits = Visits(
            row=row,
            person=people.person[row],
            day=days[at],
            month=np.array([d.month - 1 for d in dates])[at],
            is_order=is_order[at, row],
            is_sale=demand.is_sale(self.settings, days)[at],
            offer=np.full(len(at), NONE) if offers is None else offers.offer[at, row],
        )
        return visits, people

    def _catalogue_rows(self) -> Batch:
        product = np.arange(len(self.catalogue.price_cents))
        nobody = np.full(len(product), NONE)
        unsigned = np.zeros(len(product), dtype=bool)
        number = CATALOGUE_NUMBER + product
        return make_batch("Product Updated", number, product * 0, nobody, is_signed_in=unsigned, product=product)
