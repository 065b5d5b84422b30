"""Where a request may use passkeys, and what a page says where it may not."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from patron.commands.passkeys import LOCAL_NAME, PasskeyPlace, passkey_place
from patron.interfaces.http.access_control import LOOPBACK
from patron.storage.shop import Shop


def place_of(request: Request) -> PasskeyPlace | None:
    """The name that passkeys of this page are bound to; None where no browser knows them."""
    shop: Shop = request.app.state.answers.shop
    return passkey_place(shop, request.url.scheme, request.headers.get("host", ""))


def passkey_values(request: Request) -> Mapping[str, Any]:
    """What a page says of passkeys: whether it may use them, and the address of this machine under which it may."""
    url = request.url
    local = f"{url.scheme}://{LOCAL_NAME}:{url.port}{url.path}" if url.hostname in LOOPBACK and url.port else ""
    return {"passkey_place": place_of(request), "local_address": local}
