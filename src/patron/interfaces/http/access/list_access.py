"""The index of customers as a reader sees it, and whose eyes the texts of staff are for."""

from collections.abc import Iterable

import numpy as np
from fastapi import Request

from patron.answers.customers.customer_index import CustomerIndex
from patron.answers.customers.customer_list import find_buyers
from patron.answers.customers.customer_marks import Reader
from patron.govern.access.visible_customers import VisibleCustomers
from patron.interfaces.http.access.access_control import actor_of
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import Answers
from patron.storage.runs.last_run import last_run


def reader_of(request: Request, *, is_revealed: bool = False) -> Reader:
    """Whose eyes texts of staff are for."""
    actor = actor_of(request)
    return Reader(actor.name, actor.user_id, is_revealed)


class ListAccess:
    """The index of the last run's customers, what the actor sees of it, and who bought what, each cached."""

    def __init__(self, request: Request) -> None:
        self.answers: Answers = request.app.state.answers
        self.index: CustomerIndex = self.answers.customer_index()
        self._visible = visible_of(request)

    @property
    def among(self) -> np.ndarray | None:
        """Mask of the customers whom the actor sees; None is everybody."""
        visible = self._visible
        if visible is None:
            return None
        _, bits = self.answers.cached_per_customer(("visible", id(visible)), lambda: (visible, self._bits(visible)))
        return np.unpackbits(bits, count=len(self.index)).astype(bool)

    def _bits(self, visible: VisibleCustomers) -> np.ndarray:
        return np.packbits(self.index.mask(self.index.positions(visible.rows["customer_id"].to_pylist())))

    def bought(self, kind: str, name: str) -> np.ndarray:
        """Mask of who bought of a category or a product."""
        bits = self.answers.cached_per_customer(
            ("buyers", kind, name),
            lambda: np.packbits(find_buyers(last_run(self.answers.shop), self.index, kind, name)),
        )
        return np.unpackbits(bits, count=len(self.index)).astype(bool)

    def chosen(self, customer_ids: Iterable[str]) -> np.ndarray:
        """Mask of those of some customers whom the actor sees."""
        mask = self.index.mask(self.index.positions(customer_ids))
        return mask if (among := self.among) is None else mask & among
