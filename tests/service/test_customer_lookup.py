"""A customer is found by what people have at hand: an id in whatever case, an e-mail address or a telephone number."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.loader import load_events
from patron.collect.request import SourceRules, validate_batch
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.run import run_loop
from patron.schema.errors import NotFound
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def identify(shop, user, **traits):
    at = (NOW - timedelta(hours=1)).isoformat()
    message = {"type": "identify", "userId": user, "messageId": user, "timestamp": at, "traits": traits}
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": [message]}).encode(), "web", NOW, OPEN)])
    CompactionWorker(shop).run_once()


def found(shop, text):
    return lookup_customer(shop, text, now=NOW).customer_id


@pytest.fixture(scope="module")
def two_customers(tmp_path_factory):
    """A workspace that knows two customers, for tests that only look."""
    folder = tmp_path_factory.mktemp("lookup")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        shop = Shop.create(folder / "w")
        identify_two(shop)
        yield shop
        shop.close()


@pytest.fixture
def known(shop):
    identify_two(shop)
    return shop


def identify_two(shop):
    identify(shop, "Kd-Ann", email="Ann@Example.com", phone="+49 (30) 123-4567")
    identify(shop, "ben", email="ben@example.com")


@pytest.mark.parametrize(
    "text",
    ["Kd-Ann", "kd-ann", " KD-ANN ", "ann@example.com", "ANN@EXAMPLE.COM", "+49301234567", "+49 30 1234567"],
)
def test_one_field_finds_a_customer_by_id_mail_or_number_in_whatever_case(two_customers, text):
    assert found(two_customers, text) == found(two_customers, "Kd-Ann") != found(two_customers, "ben")


def test_two_ids_that_differ_in_case_are_two_customers_and_the_very_id_comes_first(known):
    identify(known, "KD-ANN")
    for written in ("Kd-Ann", "KD-ANN"):
        match = lookup_customer(known, written, now=NOW)
        assert len(match.other_customer_ids) == 1
        assert match.other_customer_ids[0] == found(known, "KD-ANN" if written == "Kd-Ann" else "Kd-Ann")


@pytest.mark.parametrize("text", ["", "   ", "-", "+", "@", "nobody", "12", "1234567", "a@b.c", "<script>", "%"])
def test_what_names_nobody_is_not_found(two_customers, text):
    with pytest.raises(NotFound, match="no customer has this id, e-mail address or phone number"):
        lookup_customer(two_customers, text, now=NOW)


def test_customers_who_share_a_number_are_all_named(known):
    identify(known, "cai", phone="+49 30 1234567")
    match = lookup_customer(known, "+49301234567", now=NOW)
    assert {match.customer_id, *match.other_customer_ids} == {found(known, "Kd-Ann"), found(known, "cai")}


def test_imported_customers_are_found_after_a_run(shop):
    orders = {
        "event_id": ["o1", "o2"],
        "name": ["Order Completed"] * 2,
        "occurred_at": [NOW - timedelta(days=3), NOW - timedelta(days=2)],
        "user_id": ["Ann@Example.com", "ben"],
        "revenue_cents": [500, 700],
    }
    load_events(shop, pa.table(orders), source="shop", known="occurred", received_at=NOW)
    run_loop(shop, NOW)
    assert found(shop, "ann@example.com") == found(shop, "ANN@example.com") != found(shop, "BEN")


def test_who_was_erased_is_found_no_more_and_nobody_else_goes_with_them(known):
    identify(known, "KD-ANN")
    other = found(known, "KD-ANN")
    forget(RequestContext.from_name(known, now=datetime.now(UTC)), user_id="Kd-Ann")
    assert found(known, "kd-ann") == other
    with pytest.raises(NotFound):
        lookup_customer(known, "ann@example.com", now=NOW)
