"""`patron identity`: who is whom, put right by hand."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from patron.collect.loader import load_events
from patron.govern.vault import Vault

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def shop(shop):
    columns = {"event_id": ["1"], "name": ["Identify"], "user_id": ["7"], "anonymous_id": ["v"], "occurred_at": [NOW]}
    load_events(shop, pa.table(columns), source="web", known="received", received_at=NOW)
    return shop


def test_a_visitor_is_unlinked_by_the_shops_own_id_or_by_token(shop, patron):
    token = Vault.open(shop).token("anonymous_id", "v")
    ran = patron("identity", "unlink", "--workspace", shop.folder, "--anonymous-id", "v", "--json")
    assert json.loads(ran.out)["token"] == token
    ran = patron("identity", "unlink", "--workspace", shop.folder, "--token", token)
    assert (ran.code, ran.out) == (0, f"Unlinked {token}: from the next run on it is a separate customer.\n")


def test_exactly_one_id_is_named(shop, patron):
    for options in ((), ("--user-id", "7", "--anonymous-id", "v")):
        ran = patron("identity", "unlink", "--workspace", shop.folder, *options)
        assert ran.code == 2
        assert "identify the customer by exactly one of --user-id, --anonymous-id, --token" in ran.message


def test_an_unknown_id_is_refused(shop, patron):
    ran = patron("identity", "unlink", "--workspace", shop.folder, "--user-id", "8")
    assert ran.code == 1
    assert "no user_id" in ran.err
