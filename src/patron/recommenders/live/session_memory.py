"""What shoppers did lately, kept in memory so that the next list knows it; bounded in shoppers and in events."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

MAX_SHOPPERS = 100_000
"""Shoppers that are remembered, those of the latest events."""
MAX_EVENTS = 60
"""Events that are kept of each shopper."""
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
        self.events: deque[SessionEvent] = deque(maxlen=MAX_EVENTS)
        self.shown: OrderedDict[str, SessionEvent] = OrderedDict()
        """The last time each product was shown: apart, so that lists push nothing else out."""


class SessionMemory:
    """The newest events of each shopper, by token; safe to use from several threads."""

    def __init__(self, most_shoppers: int = MAX_SHOPPERS) -> None:
        self._most_shoppers = most_shoppers
        self._shoppers: OrderedDict[str, _Shopper] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, token: str, events: Iterable[SessionEvent]) -> None:
        """Remember events of a shopper; the shoppers of the oldest events are forgotten when there are too many."""
        with self._lock:
            shopper = self._shoppers.get(token)
            if shopper is None:
                shopper = self._shoppers[token] = _Shopper()
            for event in events:
                if event.kind == SHOWN:
                    shopper.shown[event.product] = event
                    shopper.shown.move_to_end(event.product)
                    while len(shopper.shown) > MAX_EVENTS:
                        shopper.shown.popitem(last=False)
                else:
                    shopper.events.append(event)
            self._shoppers.move_to_end(token)
            while len(self._shoppers) > self._most_shoppers:
                self._shoppers.popitem(last=False)

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
                self._shoppers.pop(token, None)

    def __len__(self) -> int:
        """Shoppers that are remembered."""
        return len(self._shoppers)
