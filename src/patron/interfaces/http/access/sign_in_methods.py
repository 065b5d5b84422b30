"""Ways in next to the password, as pages offer them: passkeys where a request may use them, single sign-on."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from patron.commands.access.passkeys import LOCAL_NAME, PasskeyPlace, passkey_place
from patron.interfaces.http.access.access_control import LOOPBACK
from patron.storage.shop import Shop


def place_of(request: Request) -> PasskeyPlace | None:
    """The name that passkeys of this page are bound to; None where no browser knows them."""
    shop: Shop = request.app.state.answers.shop
    return passkey_place(shop, request.url.scheme, request.headers.get("host", ""))


def sign_in_methods(request: Request) -> Mapping[str, Any]:
    """What a page offers next to the password; for passkeys also the address of this machine under which they work."""
    url = request.url
    local = f"{url.scheme}://{LOCAL_NAME}:{url.port}{url.path}" if url.hostname in LOOPBACK and url.port else ""
    oidc = request.app.state.answers.shop.settings.oidc
    return {"passkey_place": place_of(request), "local_address": local, "issuer_name": oidc.label}
