"""Facts of the last run, computed once a run and shared by pages and their JSON twins."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from patron.answers.customer_list import Directory, directory
from patron.answers.data_quality import DataQuality, data_quality
from patron.answers.models import Models, models
from patron.answers.overview import Overview, overview
from patron.answers.revenue import Cohort, cohorts
from patron.storage.last_run import last_run
from patron.storage.shop import Shop

Answer = TypeVar("Answer")
MAX_RECENT = 256
"""Answers about single customers that are kept: the most recently requested."""


class Answers:
    """Keeps what is the same for every reader until another run finishes; the newest run only."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._lock = threading.Lock()
        self._version: object = None
        self._kept: dict[object, Any] = {}
        self._making: defaultdict[object, threading.Lock] = defaultdict(threading.Lock)
        self._recent: OrderedDict[object, Any] = OrderedDict()

    def kept(self, name: object, make: Callable[[], Answer]) -> Answer:
        """Return what `make` gave for this name at the last run. Raises NoRunYet."""
        version = self._last_version()
        with self._lock:
            self._forget_others(version)
            # why: a run that finishes meanwhile puts other dictionaries in place; an answer made here is then dropped
            kept, making = self._kept, self._making[name]
        with making:  # many may ask at once, one computes
            if name not in kept:
                kept[name] = make()
            return kept[name]

    def recent(self, name: object, make: Callable[[], Answer]) -> Answer:
        """As `kept`, for what there is one of for each customer: the newest few stay. Raises NoRunYet."""
        version = self._last_version()
        with self._lock:
            self._forget_others(version)
            recent = self._recent
            if name in recent:
                recent.move_to_end(name)
                return recent[name]
        answer = make()
        with self._lock:
            recent[name] = answer
            while len(recent) > MAX_RECENT:
                recent.popitem(last=False)
        return answer

    def _last_version(self) -> object:
        view = last_run(self.shop)
        return (view.run.run_id, tuple(sorted(view.pinned.items())))

    def _forget_others(self, version: object) -> None:
        if self._version != version:
            self._version, self._kept, self._making = version, {}, defaultdict(threading.Lock)
            self._recent = OrderedDict()

    def overview(self) -> Overview:
        """Overview of the last run."""
        return self.kept("overview", lambda: overview(self.shop))

    def models(self) -> Models:
        """Models of the last run."""
        return self.kept("models", lambda: models(self.shop))

    def cohorts(self) -> tuple[Cohort, ...]:
        """Retention by month of the first order, at the last run."""
        return self.kept("cohorts", lambda: cohorts(last_run(self.shop)))

    def quality(self) -> DataQuality:
        """Data quality; imports may come between runs, so it is read afresh."""
        return data_quality(self.shop)

    def directory(self) -> Directory:
        """All customers of the last run, for the list."""
        return self.kept("directory", lambda: directory(last_run(self.shop)))
