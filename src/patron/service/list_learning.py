"""What feedback teaches until the next night: looks, clicks and orders of products that our lists showed."""

import threading
from collections import OrderedDict

import numpy as np

from patron.govern.outreach.list_signatures import EXPECTED_CLICKS, interests_of, is_ours
from patron.govern.vault import Vault
from patron.recommenders.live.list_maker import ListMaker
from patron.recommenders.live.recommendation_index import UNKNOWN
from patron.recommenders.live.session_memory import CLICK, ORDER, SHOWN, SessionEvent
from patron.schema.numbers import Numbers
from patron.service.session_events import Feedback, ShopperEvents

CLICK_TO_ORDER_DAYS = 1.0
"""An order so long after a click on a list counts for it."""
MAX_CLICKS = 20_000
"""Clicks that an order may still follow: the newest."""
MAX_PLACES = 100_000
"""Places whose looks and clicks are counted once: the newest."""


class ListLearning:
    """Counts what followed our lists; feedback about any other list teaches nothing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._clicks: OrderedDict[tuple[str, str], tuple[float, Numbers]] = OrderedDict()
        self._counted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.rejected_count = 0
        """Feedback about lists that we never made."""

    def learn(self, one: ShopperEvents, token: str, maker: ListMaker) -> None:
        """Let one message of a shopper change what is expected of its products."""
        with self._lock:
            if one.feedback is not None:
                self._learn_feedback(one.feedback, one.events[0].day, token, maker)
            elif one.events[0].kind == ORDER:
                for event in one.events:
                    self._learn_order(event, token, maker)

    def forget_clicks(self) -> None:
        """Drop who clicked what."""
        with self._lock:
            self._clicks.clear()

    def _learn_feedback(self, feedback: Feedback, day: float, token: str, maker: ListMaker) -> None:
        if not is_ours(self._vault, feedback.decision_id, feedback.product_id, feedback.properties):
            self.rejected_count += 1
            return
        code, place = maker.index.code(feedback.product_id), (feedback.decision_id, feedback.kind)
        if code == UNKNOWN or feedback.kind not in {SHOWN, CLICK} or place in self._counted:
            return  # why the last: a page may send again, and a public key lets anybody do so
        self._counted[place] = None
        _limit(self._counted, MAX_PLACES)
        if feedback.kind == SHOWN:
            maker.response.expected_clicks[code] += float(feedback.properties[EXPECTED_CLICKS]) / 1_000
            return
        shares = maker.weights.shares(np.array([interests_of(feedback.properties)]))[0]
        maker.response.add_click(code, shares)
        self._clicks[token, feedback.product_id] = day, shares
        self._clicks.move_to_end((token, feedback.product_id))
        _limit(self._clicks, MAX_CLICKS)

    def _learn_order(self, order: SessionEvent, token: str, maker: ListMaker) -> None:
        """Count an order for the click before it, once."""
        code, click = maker.index.code(order.product), self._clicks.pop((token, order.product), None)
        if code != UNKNOWN and click is not None and 0 <= order.day - click[0] <= CLICK_TO_ORDER_DAYS:
            maker.response.add_order(code, click[1])


def _limit(kept: OrderedDict, most: int) -> None:
    """Drop the oldest entries beyond so many."""
    while len(kept) > most:
        kept.popitem(last=False)
