"""Faults of ours reach the reader in the shape of every refusal, and say nothing of our inside."""

import asyncio

import httpx
import pytest

from patron.interfaces.http.application import create_app
from patron.schema.access.access_rights import VISITOR

REFUSAL = {"type", "title", "status", "detail", "instance", "error", "what", "where", "todo"}
REFUSAL |= {"code", "values", "todo_code", "todo_values"}


@pytest.mark.parametrize(("path", "is_json"), [("/api/overview", True), ("/overview", False)])
def test_a_fault_of_ours_is_told_without_its_inside(made_shop, monkeypatch, path, is_json):
    app = create_app(made_shop, visitor=VISITOR)

    def broken(*_args):
        raise RuntimeError("select secret from keys")

    monkeypatch.setattr(app.state.answers, "cached", broken)

    async def ask():
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert (answer.headers["content-type"] == "application/problem+json") == is_json
    if is_json:
        assert answer.json().keys() == REFUSAL
