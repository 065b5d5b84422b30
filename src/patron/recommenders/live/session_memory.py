"""What shoppers did lately, kept in memory so that the next list knows it; bounded in shoppers and in events."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

MOST_SHOPPERS = 100_000
"""Shoppers that are remembered, those of the latest events."""
MOST_EVENTS = 60
"""Events that are kept of each shopper."""
SHOWN, CLICK, ORDER, RETURN = "shown", "click", "order", "return"
EVIDENCE = {"view": 0.5, CLICK: 0.7, "wishlist": 0.8, "cart_add": 1.0, ORDER: 1.0}
"""How much an event with a product speaks for what goes with it, 0 to 1; other events speak for nothing."""
HIDE = frozenset({"hide", "bad_review"})
"""Events after which the shopper does not want to see the product."""


class SessionEvent(NamedTuple):
    """One event with a product; `day` is when, counted since 1970."""

    day: float
    kind: str
    product: str


class SessionMemory:
    """The newest events of each shopper, by any of their tokens; safe to use from several threads."""

    def __init__(self, most_shoppers: int = MOST_SHOPPERS) -> None:
        self._most_shoppers = most_shoppers
        self._events: OrderedDict[str, deque[SessionEvent]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, token: str, events: Iterable[SessionEvent]) -> None:
        """Remember events of a shopper; the shoppers of the oldest events are forgotten when there are too many."""
        with self._lock:
            kept = self._events.get(token)
            if kept is None:
                kept = self._events[token] = deque(maxlen=MOST_EVENTS)
            kept.extend(events)
            self._events.move_to_end(token)
            while len(self._events) > self._most_shoppers:
                self._events.popitem(last=False)

    def events(self, tokens: Iterable[str]) -> list[SessionEvent]:
        """Events of a shopper with these tokens, in order of time."""
        with self._lock:
            events = [event for token in tokens for event in self._events.get(token, ())]
        return sorted(events)

    def knows(self, token: str) -> bool:
        """Whether events of the token are remembered."""
        return token in self._events

    def forget(self, tokens: Iterable[str]) -> None:
        """Drop what is remembered of these tokens."""
        with self._lock:
            for token in tokens:
                self._events.pop(token, None)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._events.clear()

    def __len__(self) -> int:
        """Shoppers that are remembered."""
        return len(self._events)
