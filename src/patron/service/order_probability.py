"""How likely an order is in the open visit of a customer, from the last run's model of visits."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

from patron.clickstream import LEARNERS, ORDER, SECONDS_UNTIL_KNOWN, SessionEvent, VisitorHistory, features_after
from patron.clickstream.features import Row
from patron.govern.vault import PREFIXES
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.models.questions import SESSION_CONVERSION
from patron.storage.models import model_registry
from patron.storage.models.trainings import measured_rows
from patron.storage.shop import Shop, Snapshot
from patron.understand.facts.interactions import KINDS
from patron.understand.profiles.profile_query import SOLD
from patron.understand.profiles.profile_view import visit_events
from patron.understand.profiles.token_profile import StoredEvent, TokenProfile

log = logging.getLogger(__name__)
MICROSECONDS = 1_000_000


class OrderModel(Protocol):
    """A fitted model of visits."""

    def probability(self, row: Row) -> float:
        """Probability of an order later in the visit, 0 to 1."""
        ...


def with_order_probability(
    profile: LiveProfile, view: Snapshot | None, parts: Mapping[str, TokenProfile], whole: TokenProfile
) -> LiveProfile:
    """The profile with the probability of an order in the open visit, as it was after its last event.

    `parts` are the profiles of the customer's tokens, `whole` is what they add up to. Where the run has no model the
    profile is as it was; where it has one that cannot be read or used the reason is logged too, once a run.
    """
    if view is None or profile.visit is None or not profile.visit.is_open:
        return profile
    events = visit_events(whole.recent_events)
    if all(event.name in SOLD for event in events):
        return profile
    probability = _MODELS.probability(view, live_features(events, parts, whole))
    return replace(profile, visit=replace(profile.visit, order_probability=probability))


def live_features(events: list[StoredEvent], parts: Mapping[str, TokenProfile], whole: TokenProfile) -> Row:
    """Features of a visit after its last event: the same, after any event, as a run makes of its tables."""
    in_time = sorted(events, key=lambda event: (event.at_us, event.name in SOLD, event.source, event.event_id))
    orders: set[str] = set()
    steps = []
    for event in in_time:
        if event.name in SOLD:
            number = event.order_id or event.event_id
            if number in orders:
                continue
            orders.add(number)
            steps.append(SessionEvent(event.at_us / MICROSECONDS, ORDER))
        else:
            steps.append(SessionEvent(event.at_us / MICROSECONDS, KINDS[event.name], event.product_id))
    return features_after(steps, _history(in_time[0], parts, whole))


def _history(first: StoredEvent, parts: Mapping[str, TokenProfile], whole: TokenProfile) -> VisitorHistory:
    """What was known of the visitor when the visit began: nothing, where a device had no user yet."""
    known_us = [_known_since_us(token, part) for token, part in parts.items() if first in part.recent_events]
    if not any(at <= first.at_us + SECONDS_UNTIL_KNOWN * MICROSECONDS for at in known_us if at is not None):
        return VisitorHistory()
    earlier = [at for at, _ in whole.orders if at < first.at_us]
    return VisitorHistory(True, len(earlier), max(earlier) / MICROSECONDS if earlier else None)


def _known_since_us(token: str, part: TokenProfile) -> int | None:
    """Since when it is known whose the token is: of a user from the start, of a device since it has a user."""
    if token.startswith(PREFIXES["user_id"] + "_"):
        return 0
    return part.users[0][0] if part.users else None


class _Models:
    """The model of the last run of each shop, read once until there is another run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model_by_shop: WeakKeyDictionary[Shop, tuple[object, OrderModel | None]] = WeakKeyDictionary()

    def probability(self, view: Snapshot, row: Row) -> float | None:
        """Probability by the model of a run; None where it has none, or one that cannot be read or used."""
        key = (view.run.run_id, tuple(sorted(view.pinned.items())))
        with self._lock:
            known_key, model = self._model_by_shop.get(view.shop, (None, None))
            try:
                if known_key != key:
                    model = _load(view)
                probability = model.probability(row) if model else None
            except Exception:  # why any: a profile is read with or without it, and files may be damaged in any way
                log.exception("the model of run %s is not used: visits have no order probability", view.run.run_id)
                model = probability = None
            self._model_by_shop[view.shop] = (key, model)
            return probability


def _load(view: Snapshot) -> OrderModel | None:
    """The model that a run or an earlier one trained, verified; None where the run has none. Raises LakeDamaged."""
    question = SESSION_CONVERSION.name
    # why: the folder alone may be there from an earlier run of this name, which knew more
    measured = measured_rows("backtests", view.run.run_id)
    trained = view.query(f"select max(run_id) as run_id from {measured} b where question = '{question}'")
    run_id = trained["run_id"][0].as_py()
    return run_id and model_registry.load(view.folder / "models", view.store, question, run_id, LEARNERS)


_MODELS = _Models()
