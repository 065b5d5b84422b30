"""The index of customers as a reader sees it."""

from collections.abc import Iterable

import numpy as np

from patron.answers.customers.customer_index import CustomerIndex, index_at_last_run
from patron.answers.customers.customer_list import find_buyers
from patron.govern.access.request_context import RequestContext
from patron.govern.access.visible_customers import VisibleCustomers
from patron.storage.runs.last_run import last_run


class ListAccess:
    """The index of the last run's customers, what the actor sees of it, and who bought what, each cached."""

    def __init__(self, context: RequestContext) -> None:
        self.cache = context.cache
        self.index: CustomerIndex = index_at_last_run(self.cache)
        self._visible = context.visible

    @property
    def among(self) -> np.ndarray | None:
        """Mask of the customers whom the actor sees; None is everybody."""
        visible = self._visible
        if visible is None:
            return None
        _, bits = self.cache.cached_per_customer(("visible", id(visible)), lambda: (visible, self._bits(visible)))
        return np.unpackbits(bits, count=len(self.index)).astype(bool)

    def _bits(self, visible: VisibleCustomers) -> np.ndarray:
        return np.packbits(self.index.mask(self.index.positions(visible.rows["customer_id"].to_pylist())))

    def bought(self, kind: str, name: str) -> np.ndarray:
        """Mask of who bought of a category or a product."""
        bits = self.cache.cached_per_customer(
            ("buyers", kind, name),
            lambda: np.packbits(find_buyers(last_run(self.cache.shop), self.index, kind, name)),
        )
        return np.unpackbits(bits, count=len(self.index)).astype(bool)

    def chosen(self, customer_ids: Iterable[str]) -> np.ndarray:
        """Mask of those of some customers whom the actor sees."""
        mask = self.index.mask(self.index.positions(customer_ids))
        return mask if (among := self.among) is None else mask & among
