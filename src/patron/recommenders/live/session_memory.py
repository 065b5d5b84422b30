"""What shoppers did lately, kept in memory so that the next list knows it; bounded in shoppers and in events."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

MAX_SHOPPERS = 100_000
"""Shoppers that are remembered, those of the latest events."""
MAX_EVENTS = 60
"""Events that are kept of each shopper, and products that were shown to them."""
MAX_EVENTS_IN_ALL = 1_000_000
"""Events that are kept of all: some 100 MB, or ten of each of 100,000 shoppers."""
SHOWN = "shown"
CLICK = "click"
ORDER = "order"
RETURN = "return"
EVIDENCE = {"view": 0.5, CLICK: 0.7, "wishlist": 0.8, "cart_add": 1.0, ORDER: 1.0}
"""How much an event with a product speaks for what goes with it, 0 to 1; other events speak for nothing."""
HIDE = frozenset({"hide", "bad_review"})
"""Events after which the shopper does not want to see the product."""


class SessionEvent(NamedTuple):
    """One event with a product; `day` is when, counted since 1970."""

    day: float
    kind: str
    product: str


class _Shopper:
    """What is remembered of one token."""

    __slots__ = ("events", "shown")

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self.shown: dict[str, SessionEvent] = {}
        """The last time each product was shown: apart, so that lists push nothing else out."""

    @property
    def count(self) -> int:
        """Events that are kept."""
        return len(self.events) + len(self.shown)

    def add(self, event: SessionEvent) -> None:
        if event.kind == SHOWN:
            self.shown.pop(event.product, None)
            self.shown[event.product] = event
            if len(self.shown) > MAX_EVENTS:
                del self.shown[next(iter(self.shown))]
        else:
            self.events.append(event)
            if len(self.events) > MAX_EVENTS:
                del self.events[0]


class SessionMemory:
    """The newest events of each shopper, by token; safe to use from several threads."""

    def __init__(self, most_shoppers: int = MAX_SHOPPERS, most_events: int = MAX_EVENTS_IN_ALL) -> None:
        self._most_shoppers, self._most_events = most_shoppers, most_events
        self._shoppers: OrderedDict[str, _Shopper] = OrderedDict()
        self._event_count = 0
        self._lock = threading.Lock()

    def add(self, token: str, events: Iterable[SessionEvent]) -> None:
        """Remember events of a shopper; the shoppers of the oldest events are forgotten when there are too many."""
        with self._lock:
            shopper = self._shoppers.get(token)
            if shopper is None:
                shopper = self._shoppers[token] = _Shopper()
            before = shopper.count
            for event in events:
                shopper.add(event)
            self._event_count += shopper.count - before
            self._shoppers.move_to_end(token)
            while len(self._shoppers) > self._most_shoppers or self._event_count > self._most_events:
                _, oldest = self._shoppers.popitem(last=False)
                self._event_count -= oldest.count

    def events(self, tokens: Iterable[str]) -> list[SessionEvent]:
        """Events of a shopper with these tokens, each once, in order of time."""
        with self._lock:
            known = [self._shoppers[token] for token in tokens if token in self._shoppers]
            events = {event for one in known for event in (*one.events, *one.shown.values())}
        return sorted(events)

    def knows(self, token: str) -> bool:
        """Whether events of the token are remembered."""
        return token in self._shoppers

    def forget(self, tokens: Iterable[str]) -> None:
        """Drop what is remembered of these tokens."""
        with self._lock:
            for token in tokens:
                shopper = self._shoppers.pop(token, None)
                self._event_count -= shopper.count if shopper else 0

    def __len__(self) -> int:
        """Shoppers that are remembered."""
        return len(self._shoppers)
