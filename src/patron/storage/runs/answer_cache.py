"""Answers about the last run that stay until another one finishes, shared by pages and programs."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from patron.storage.runs.last_run import is_newest_run, last_run
from patron.storage.shop import Shop, Snapshot

Answer = TypeVar("Answer")
MAX_RECENT = 256
"""Answers about single customers that are cached: the most recently requested."""


class _Kept:
    """Answers about one run."""

    def __init__(self, version: object) -> None:
        self.version = version
        self.answers: dict[object, Any] = {}
        self.making: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)
        self.per_customer: OrderedDict[object, Any] = OrderedDict()


class AnswerCache:
    """Answers that are the same for every reader, cached until another run finishes."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._lock = threading.Lock()
        self._kept = _Kept(None)

    def cached(self, name: object, make: Callable[[], Answer]) -> Answer:
        """Answer of this name for the last run; `make` computes it the first time. Raises NoRunYet."""
        view = last_run(self.shop)
        kept = self._kept_of(view)
        if kept is None:
            return view.once((AnswerCache, name), make)
        with self._lock:
            making = kept.making[name]
        with making:  # many may ask at once, one computes
            if name not in kept.answers:
                kept.answers[name] = make()
            return kept.answers[name]

    def cached_per_customer(self, name: object, make: Callable[[], Answer]) -> Answer:
        """As `cached`, for answers about single customers: only the most recently used stay. Raises NoRunYet."""
        kept = self._kept_of(last_run(self.shop))
        if kept is None:
            return make()
        with self._lock:
            if name in kept.per_customer:
                kept.per_customer.move_to_end(name)
                return kept.per_customer[name]
        answer = make()
        with self._lock:
            kept.per_customer[name] = answer
            while len(kept.per_customer) > MAX_RECENT:
                kept.per_customer.popitem(last=False)
        return answer

    def last_version(self) -> object:
        """Which run readers see: another one after each run that completes. Raises NoRunYet."""
        return last_run(self.shop).version

    def _kept_of(self, view: Snapshot) -> _Kept | None:
        """What is cached about the run that a reader sees; None where the reader began before the newest run.

        Whoever computes goes on with what they got here: what a run that finishes meanwhile leaves is another one.
        """
        kept = self._kept
        if kept.version != view.version:
            if not is_newest_run(view):
                return None
            with self._lock:
                if self._kept.version != view.version:
                    self._kept = _Kept(view.version)
                kept = self._kept
        return kept
