"""Cache of answers about the last run, shared by pages and their JSON twins."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from fastapi import Request

from patron.answers.customers.customer_index import CustomerIndex, customer_index
from patron.answers.customers.watch_list import watch_list
from patron.answers.data.data_quality import DataQuality, data_quality
from patron.answers.insight.brief import Brief, brief
from patron.answers.insight.overview import Overview, overview
from patron.answers.insight.period_figures import PeriodFigures, period_figures
from patron.answers.insight.periods import PeriodQuery
from patron.answers.models.models import Models, models, with_decisions
from patron.govern.access.visible_customers import VisibleCustomers
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

Answer = TypeVar("Answer")
MAX_RECENT = 256
"""Answers about single customers that are cached: the most recently requested."""


class Answers:
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
        version = self.last_version()
        with self._lock:
            self._drop_older(version)
            # why: a run that finishes meanwhile puts other dictionaries in place; an answer made here is then dropped
            cached, making = self._cached, self._making[name]
        with making:  # many may ask at once, one computes
            if name not in cached:
                cached[name] = make()
            return cached[name]

    def cached_per_customer(self, name: object, make: Callable[[], Answer]) -> Answer:
        """As `cached`, for answers about single customers: only the most recently used stay. Raises NoRunYet."""
        version = self.last_version()
        with self._lock:
            self._drop_older(version)
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

    def _drop_older(self, version: object) -> None:
        if self._version != version:
            self._version, self._cached, self._making = version, {}, defaultdict(threading.Lock)
            self._cached_per_customer = OrderedDict()

    def overview(self, visible: VisibleCustomers | None = None) -> Overview:
        """Overview of the last run; its watch list has customers whom the reader sees."""
        facts = self.cached("overview", lambda: overview(self.shop))
        if visible is None:
            return facts
        name = ("watch list", visible)
        listed = self.cached_per_customer(name, lambda: watch_list(last_run(self.shop), only=visible.rows))
        return replace(facts, watch_list=listed)

    def period_figures(self, query: PeriodQuery) -> PeriodFigures:
        """Key figures of a period at the last run; only the periods that were requested most recently are kept."""
        return self.cached_per_customer(("period", query), lambda: period_figures(last_run(self.shop), query))

    def brief(self) -> Brief:
        """Brief of the last run."""
        return self.cached("brief", lambda: brief(self.shop))

    def models(self) -> Models:
        """Models of the last run; people may decide about them between runs, which is read afresh."""
        return with_decisions(self.cached("models", lambda: models(self.shop)), self.shop.store)

    def quality(self) -> DataQuality:
        """Data quality; imports may come between runs, so it is read afresh."""
        return data_quality(self.shop)

    def customer_index(self, visible: VisibleCustomers | None = None) -> CustomerIndex:
        """Index of the last run's customers whom the reader sees, for the list."""
        index = self.cached("customer_index", lambda: customer_index(last_run(self.shop)))
        if visible is None:
            return index
        restrict = partial(visible.restrict, index.rows)
        return replace(index, rows=self.cached_per_customer(("customer_index", visible), restrict))


def answers_of(request: Request) -> Answers:
    """What the application keeps for its readers."""
    return request.app.state.answers
