"""What a storefront and a policy of recommendation exchange: requests, lists and events."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

Scenario = Literal["home", "product"]
EventKind = Literal["shown", "clicked", "viewed", "added", "bought"]


class ListRequest(NamedTuple):
    """A page asks for a list; a shopper who has not signed up is a visitor only."""

    request: int
    """Number of the request, rising over time."""
    shopper: int | None
    visitor: int
    """Stays the same when the visitor signs up."""
    at: float
    """Time since the first midnight, days."""
    scenario: Scenario
    context_item: int | None
    """Product of the page, in scenario "product"."""
    k: int
    session_items: tuple[int, ...]
    """Products whose pages this visit has opened, in order."""
    is_available: np.ndarray
    """Whether each product is launched and in stock; read-only."""


class ShownList(NamedTuple):
    """Products in order of position, and the probability with which the policy chose each for its place."""

    items: Sequence[int] | np.ndarray
    propensities: Sequence[float] | np.ndarray


class ShopEvent(NamedTuple):
    """What the shop records of a visit."""

    at: float
    """Time since the first midnight, days."""
    kind: EventKind
    """A click opens the product's page, and is not followed by "viewed"."""
    shopper: int | None
    visitor: int
    item: int
    request: int
    """Number of the request whose list it comes from, or -1."""
    position: int
    """Place in the list from 1, or 0."""


class Policy(Protocol):
    """Chooses lists and learns from events."""

    def recommend(self, request: ListRequest) -> ShownList:
        """Choose up to k different products that are launched."""
        ...

    def observe(self, events: Sequence[ShopEvent]) -> None:
        """Take in what happened since, in order of time."""
        ...

    def refresh(self, day: int) -> None:
        """Train before a day begins (at midnight, days since the first)."""
        ...
