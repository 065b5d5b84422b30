"""Receipts of messages from providers of e-mail, whose webhook brings a secret key."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from patron.commands.receive_receipts import ReceiptCounts, receive_webhook
from patron.interfaces.http.keyed_routes import SecretKeyRoute

router = APIRouter(prefix="/api/receipts", tags=["messages"], route_class=SecretKeyRoute)


@router.post("")
def receive(
    request: Request,
    content: Annotated[Any, Body(description="What the provider sends; of patron: receipts with message_id, kind ...")],
    provider: Annotated[str, Query(max_length=40, description="patron, sendgrid, mailgun or ses.")] = "patron",
) -> ReceiptCounts:
    """Record what became of messages: delivered, bounced, complained ...; hard bounces and complaints suppress."""
    shop = request.app.state.answers.shop
    return receive_webhook(shop, provider, content, now=datetime.now(UTC))
