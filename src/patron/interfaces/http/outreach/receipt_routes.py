"""Receipts of messages from providers, whose webhook brings a secret key."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request

from patron.commands.outreach.messages.receive_receipts import ReceiptCounts, receive_webhook, require_signature
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.schema.access.access_rights import Action, Area
from patron.schema.outreach.channels import DESCRIBED
from patron.schema.spelling import one_of

router = APIRouter(prefix="/api/receipts", tags=["messages"], route_class=GuardedRoute)


async def body_bytes(request: Request) -> bytes:
    """The body as it came, which a signature is of."""
    return await request.body()


@router.post("")
@needs(Action.ACT, Area.MESSAGES)
def receive(
    request: Request,
    content: Annotated[Any, Body(description="What the provider sends; of patron: receipts with message_id, kind ...")],
    body: Annotated[bytes, Depends(body_bytes)],
    provider: Annotated[
        str, Query(max_length=40, description=f"{one_of(('patron', 'sendgrid', 'mailgun', 'ses', *DESCRIBED))}.")
    ] = "patron",
) -> ReceiptCounts:
    """Record what became of messages: delivered, bounced, complained ...; hard bounces and complaints suppress."""
    shop, now = request.app.state.answers.shop, datetime.now(UTC)
    require_signature(shop, provider, request.headers, body, now=now)
    return receive_webhook(shop, provider, content, now=now)
