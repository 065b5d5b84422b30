"""`patron serve` says, once, that a proxy seems to be there which the settings do not name."""

import asyncio

from patron.interfaces.http.server.forwarded_headers import ForwardedHeaders


def ask(app, *names):
    async def nothing(*_arguments):
        return {}

    headers = [(name.encode(), b"10.0.0.1") for name in names]
    asyncio.run(app({"type": "http", "headers": headers}, nothing, nothing))


def test_a_proxy_that_is_not_named_is_warned_of_once(caplog):
    asked = []

    async def answer(scope, _receive, _send):
        asked.append(scope["headers"])

    app = ForwardedHeaders(answer)
    ask(app, "host")
    assert caplog.messages == []
    for _ in range(3):
        ask(app, "host", "x-forwarded-proto")
    assert len(asked) == 4, "every request is answered"
    assert len(caplog.messages) == 1
    assert "x-forwarded-proto, but [collect] proxies" in caplog.messages[0]
