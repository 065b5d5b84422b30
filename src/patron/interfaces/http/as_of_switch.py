"""The as-of switch: an address with `as_of` is answered as the shop was known at that past run.

The parameter is taken off before a route sees the request, and the application that the route asks has the past shop
behind it: routes, pages and their twins need not know of it. A page puts it on every address that it leads to
(`console/as_of_addresses.py`), and so does a redirect. `GuardedRoute` refuses what would change something.
"""

import threading
from collections import OrderedDict
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patron.interfaces.console.as_of_addresses import PARAMETER, with_as_of
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import is_open
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.refusals import is_for_programs, refusal
from patron.schema.errors import PatronError
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.past_shop import PastShop, past_shop
from patron.storage.shop import Shop

MAX_PAST = 2
"""Past runs whose answers are kept at a time: those that somebody looked at last."""


class PastApplication:
    """The application as a route of a request that looks back asks it: with another shop behind answers and pages."""

    def __init__(self, app: Starlette, shop: PastShop) -> None:
        answers = AnswerCache(shop)
        self.state = _PastState(app.state, answers, Console(answers, app.state.console.pages))


class _PastState:
    """State of an application, of which answers and pages are those of a past run."""

    def __init__(self, present: Any, answers: AnswerCache, console: Console) -> None:
        self.__dict__.update(present=present, answers=answers, console=console)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.present, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.present, name, value)


class AsOfSwitch:
    """ASGI middleware: whoever is known may name a past run in the address of anything that they may read."""

    def __init__(self, app: ASGIApp, present: Starlette, shop: Shop) -> None:
        self.app = app
        self.present = present
        self.shop = shop
        self._lock = threading.Lock()
        self._past: OrderedDict[str, PastApplication] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the address says, or refuse a run that there is not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, app = Request(scope), self.app
        as_of = request.query_params.get(PARAMETER)
        if as_of is None or is_open(request):
            await app(scope, receive, send)
            return
        kept = [pair for pair in parse_qsl(request.url.query, keep_blank_values=True) if pair[0] != PARAMETER]
        scope["query_string"] = urlencode(kept).encode()
        try:
            past = await run_in_threadpool(past_shop, self.shop, as_of) if as_of else None
        except PatronError as error:
            await (await run_in_threadpool(self._refusal, Request(scope), error))(scope, receive, send)
            return
        if past is not None:
            scope["state"]["past"] = past
            scope["app"] = await run_in_threadpool(self._application, past)
            send = _forwarding(send, past.run.run_id)
        await app(scope, receive, send)

    def _refusal(self, request: Request, error: PatronError) -> ASGIApp:
        if is_for_programs(request.url.path):
            return refusal(error, request.url.path)
        return self.present.state.console.refusal_page(request, error, status_of(error))

    def _application(self, shop: PastShop) -> PastApplication:
        """The application of a past run; answers that were made for it stay for the next request."""
        with self._lock:
            kept = self._past.pop(shop.run.run_id, None) or PastApplication(self.present, shop)
            self._past[shop.run.run_id] = kept
            while len(self._past) > MAX_PAST:
                self._past.popitem(last=False)
            return kept


def _forwarding(send: Send, run_id: str) -> Send:
    """Send with the parameter on the address that a redirect leads to."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("location", "").startswith("/"):
                headers["location"] = with_as_of(headers["location"], run_id)
        await send(message)

    return forward
