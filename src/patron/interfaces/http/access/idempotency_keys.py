"""The header Idempotency-Key: a program that got no answer sends its request again, and nothing is done twice."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from patron.commands.access.idempotency import StoredAnswer, claim
from patron.schema.access.access_rights import Action, Actor, Area, Right
from patron.schema.errors import BadRequest
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

IDEMPOTENCY_LENGTH = Sentence("idempotency_length", "is not 1 to {count} printable characters")
SEND_RANDOM_ID = Sentence("send_random_id", "Send a random id, such as a UUID.")

HEADER, REPLAYED = "idempotency-key", "Idempotency-Replayed"
MAX_KEY_LENGTH = 200
ACTIONS = (Action.ACT, Action.APPROVE)
"""What has an effect; what only reads or exports may be sent again as it is, and is not kept."""
ERROR = 400
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def takes_key(right: Right | str | None, method: str) -> bool:
    """Whether a request has an effect that must not be repeated."""
    is_step = isinstance(right, Right) and right.action in ACTIONS and right.area != Area.STOREFRONT
    return is_step and method in {"POST", "PUT", "DELETE"}


async def answer_once(request: Request, shop: Shop, actor: Actor, handle: Handler) -> Response:
    """Answer a request, or give the answer to the same one before. Raises BadRequest."""
    key = request.headers[HEADER]
    if not 0 < len(key) <= MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        what = IDEMPOTENCY_LENGTH(count=MAX_KEY_LENGTH)
        raise BadRequest(400, what, where="Idempotency-Key", todo=SEND_RANDOM_ID)
    line = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    held = await run_in_threadpool(claim, shop, actor, key, line + await request.body())
    before = await run_in_threadpool(held.begin, shop, now=datetime.now(UTC))
    if before:
        headers = {REPLAYED: "true"}
        return Response(before.content, before.status, headers, "application/json")
    try:
        answer = await handle(request)
    except BaseException:
        await run_in_threadpool(held.release, shop)
        raise
    if answer.status_code >= ERROR:
        await run_in_threadpool(held.release, shop)
    else:
        await run_in_threadpool(held.keep, shop, StoredAnswer(answer.status_code, bytes(answer.body)))
    return answer
