"""Answers about the last run that stay until another one finishes, shared by pages and programs."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from patron.storage.runs.last_run import is_newest, last_run
from patron.storage.shop import Shop, Snapshot

Answer = TypeVar("Answer")
MAX_RECENT = 256
"""Answers about single customers that are cached: the most recently requested."""


class AnswerCache:
    """Answers that are the same for every reader, cached until another run finishes."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._lock = threading.Lock()
        self._version: object = None
        self._cached: dict[object, Any] = {}
        self._making: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)
        self._cached_per_customer: OrderedDict[object, Any] = OrderedDict()

    def cached(self, name: object, make: Callable[[], Answer]) -> Answer:
        """Answer of this name for the last run; `make` computes it the first time. Raises NoRunYet."""
        view = last_run(self.shop)
        if not self._is_cached_version(view):
            return view.once((AnswerCache, name), make)
        with self._lock:
            # why: a run that finishes meanwhile puts other dictionaries in place; an answer made here is then dropped
            cached, making = self._cached, self._making[name]
        with making:  # many may ask at once, one computes
            if name not in cached:
                cached[name] = make()
            return cached[name]

    def cached_per_customer(self, name: object, make: Callable[[], Answer]) -> Answer:
        """As `cached`, for answers about single customers: only the most recently used stay. Raises NoRunYet."""
        view = last_run(self.shop)
        if not self._is_cached_version(view):
            return make()
        with self._lock:
            cached_per_customer = self._cached_per_customer
            if name in cached_per_customer:
                cached_per_customer.move_to_end(name)
                return cached_per_customer[name]
        answer = make()
        with self._lock:
            cached_per_customer[name] = answer
            while len(cached_per_customer) > MAX_RECENT:
                cached_per_customer.popitem(last=False)
        return answer

    def last_version(self) -> object:
        """Which run readers see: another one after each run that completes. Raises NoRunYet."""
        return last_run(self.shop).version

    def _is_cached_version(self, view: Snapshot) -> bool:
        """Whether answers about what a reader sees are cached: not where the reader began before the newest run."""
        with self._lock:
            if self._version == view.version:
                return True
        if not is_newest(view):
            return False
        with self._lock:
            if self._version != view.version:
                self._version = view.version
                self._cached = {}
                self._making = defaultdict(threading.Lock)
                self._cached_per_customer = OrderedDict()
        return True
