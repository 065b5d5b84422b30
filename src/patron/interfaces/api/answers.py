"""Facts of the last turn, computed once a turn and shared by pages and their JSON twins."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from patron.actions.customers import directory
from patron.actions.last_turn import last_turn
from patron.actions.models import Models, models
from patron.actions.overview import Overview, overview
from patron.actions.quality import Quality, quality
from patron.base.shop import Shop

Answer = TypeVar("Answer")


class Answers:
    """Keeps what is the same for every reader until another turn finishes; the newest turn only."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._lock = threading.Lock()
        self._version: object = None
        self._kept: dict[object, Any] = {}

    def kept(self, name: object, make: Callable[[], Answer]) -> Answer:
        """Return what `make` gave for this name at the last turn. Raises NoTurnYet."""
        view = last_turn(self.shop)
        version = (view.turn.turn_id, tuple(sorted(view.pinned.items())))
        with self._lock:
            if self._version != version:
                self._version, self._kept = version, {}
            kept = self._kept
            if name in kept:
                return kept[name]
        made = make()
        # why: a turn that finished meanwhile has put another dictionary in place; this one is then forgotten
        return kept.setdefault(name, made)

    def overview(self) -> Overview:
        """Overview of the last turn."""
        return self.kept("overview", lambda: overview(self.shop))

    def models(self) -> Models:
        """Models of the last turn."""
        return self.kept("models", lambda: models(self.shop))

    def quality(self) -> Quality:
        """Data quality; imports may come between turns, so it is read afresh."""
        return quality(self.shop)

    def directory(self) -> Any:
        """All customers of the last turn, for the list."""
        return self.kept("directory", lambda: directory(last_turn(self.shop)))
