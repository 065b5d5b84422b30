"""Rules to compare policies with on the simulated storefront: random, popularity, personal frequency, and the truth."""

from collections.abc import Sequence

import numpy as np

from patron.simulate.storefront.storefront import Storefront
from patron.simulate.storefront.storefront_policy import ListRequest, ShopEvent, ShownList

RECENT_DAYS, HALF_LIFE_DAYS = 28, 120.0
TIE = 1e-9
"""What chance counts where nothing else differs."""


class RandomLists:
    """Available products, each as likely as any other."""

    def __init__(self, _: Storefront, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def recommend(self, request: ListRequest) -> ShownList:
        available = np.flatnonzero(request.is_available)
        items = self._rng.choice(available, request.k, replace=False)
        return ShownList(items, np.full(request.k, 1 / len(available)))

    def observe(self, events: Sequence[ShopEvent]) -> None:
        pass

    def refresh(self, day: int) -> None:
        pass


class RecentPopularity:
    """Most bought in the last 28 days, as of the night; the same list for everybody."""

    def __init__(self, shop: Storefront, seed: int) -> None:
        self._items = len(shop.products)
        self._bought: list[tuple[float, int, int]] = []
        self._tie = TIE * np.random.default_rng(seed).random(self._items)
        self.popularity = self._tie

    def recommend(self, request: ListRequest) -> ShownList:
        return _best(self.popularity, request)

    def observe(self, events: Sequence[ShopEvent]) -> None:
        self._bought += [(event.at, event.visitor, event.item) for event in events if event.kind == "bought"]

    def refresh(self, day: int) -> None:
        recent = [item for at, _, item in self._bought if at >= day - RECENT_DAYS]
        counts = np.bincount(np.array(recent, dtype=np.int64), minlength=self._items)
        self.popularity = counts / max(counts.max(), 1) + self._tie


class PersonalFrequency(RecentPopularity):
    """Purchases of the visitor, faded with a half-life of 120 days, plus recent popularity; as of the night."""

    def __init__(self, shop: Storefront, seed: int) -> None:
        super().__init__(shop, seed)
        self._history: dict[int, list[tuple[float, int]]] = {}

    def recommend(self, request: ListRequest) -> ShownList:
        score = self.popularity.copy()
        for at, item in self._history.get(request.visitor, ()):
            score[item] += 0.5 ** ((request.at - at) / HALF_LIFE_DAYS)
        return _best(score, request)

    def refresh(self, day: int) -> None:
        super().refresh(day)
        self._history = {}
        for at, visitor, item in self._bought:
            self._history.setdefault(visitor, []).append((at, item))


class TrueChances(RandomLists):
    """Highest true probability of a click now: nothing can know it, so it is a bound for policies."""

    def __init__(self, shop: Storefront, seed: int) -> None:
        super().__init__(shop, seed)
        self._shop = shop

    def recommend(self, request: ListRequest) -> ShownList:
        return _best(self._shop.true_chances(request)[0], request)


class TrueTastes(TrueChances):
    """Highest probability of a click by true tastes and needs, without knowing what the visit is about."""

    def recommend(self, request: ListRequest) -> ShownList:
        return _best(self._shop.expected_click(request), request)


class TrueOrders(TrueChances):
    """Highest true probability of a click and a purchase now."""

    def recommend(self, request: ListRequest) -> ShownList:
        click, buy = self._shop.true_chances(request)
        return _best(click * buy, request)


def _best(score: np.ndarray, request: ListRequest) -> ShownList:
    """The available products with the highest scores, not those whose pages the visit has opened."""
    score = np.where(request.is_available, score, -np.inf)
    score[list(request.session_items)] = -np.inf
    top = np.argpartition(-score, request.k)[: request.k]
    items = top[np.argsort(-score[top], kind="stable")]
    return ShownList(items[np.isfinite(score[items])], np.ones(int(np.isfinite(score[items]).sum())))
