"""What a customer is worth, part by part: whom they brought counts, what they cost is taken off, all adds up."""

from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from patron.answers.customers.customer_profile import customer_card
from patron.collect.loader import load_events
from patron.commands.data.init_workspace import create
from patron.commands.privacy.export import export_customer
from patron.govern.access.request_context import RequestContext
from patron.run import run_loop
from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("value parts")  # its workspace takes long to make

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def raw_events() -> pa.Table:
    """Orders of thirty customers over five months; number 8 brought 7 and 9, returned an order and got messages."""
    rows = []
    for number in range(30):
        for month in range(1, 6):
            at = datetime(2024, month, number % 28 + 1, 12, tzinfo=UTC)
            order = {"name": "Order Completed", "occurred_at": at, "user_id": f"shop {number}"}
            paid = {"order_id": f"{number}-{month}", "revenue_cents": 1000 + 100 * month}
            rows.append({"event_id": f"o{number}-{month}", **order, **paid})
    at = datetime(2024, 5, 20, tzinfo=UTC)
    eight = {"user_id": "shop 8", "occurred_at": at}
    before = {"user_id": "shop 8", "occurred_at": datetime(2023, 12, 30, tzinfo=UTC)}
    rows += [
        {"event_id": "r7", "name": "Customer Referred", "referred_user_id": "shop 7", **before},
        {"event_id": "r9", "name": "Customer Referred", "referred_user_id": "shop 9", **before},
        {"event_id": "known", "name": "Customer Referred", "referred_user_id": "shop 12", **eight},
        {"event_id": "self", "name": "Customer Referred", "referred_user_id": "shop 8", **eight},
        {"event_id": "late", "name": "Customer Referred", "referred_user_id": "shop 7", **eight, "user_id": "shop 3"},
        {"event_id": "back", "name": "Order Refunded", "order_id": "8-2", "revenue_cents": 1200, **eight},
        {"event_id": "m1", "name": "Message Sent", **eight},
        {"event_id": "m2", "name": "Message Sent", **eight},
    ]
    rows[-4]["occurred_at"] = datetime(2023, 12, 31, tzinfo=UTC)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pylist([{**names, **row} for row in rows])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        create(folder / "w")
        (folder / "w" / "patron.toml").write_text(
            "[value]\nreferral_share = 0.5\nservice_cents_per_order = 50\nmessage_cents = 3\n"
        )
        shop = Shop.open(folder / "w")
        load_events(shop, raw_events(), source="web", known="occurred", received_at=AS_OF)
        run_loop(shop, AS_OF)
        yield shop
        shop.close()


def card_of(shop, user_id):
    return customer_card(
        shop, export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=user_id)["customer_id"]
    )


def expected(card):
    return next(score.value for score in card.scores if score.question == "value")


def test_parts_add_up_to_the_total(shop):
    for user_id in ("shop 3", "shop 8"):
        parts = asdict(card_of(shop, user_id).value_parts)
        assert parts["total_cents"] == sum(value for name, value in parts.items() if name != "total_cents")


def test_paid_expected_and_refunded_amounts_are_separate(shop):
    card = card_of(shop, "shop 8")
    parts = card.value_parts
    assert (parts.first_order_cents, parts.repeat_cents) == (1100, 1200 + 1300 + 1400 + 1500)
    assert parts.returns_cents < -1200
    assert parts.expected_cents + (parts.returns_cents + 1200) == pytest.approx(expected(card), abs=1)


def test_a_referred_customer_counts_for_the_first_referrer(shop):
    brought = sum(expected(card_of(shop, user_id)) for user_id in ("shop 7", "shop 9"))
    assert card_of(shop, "shop 8").value_parts.referral_cents == pytest.approx(0.5 * brought, abs=1)
    assert card_of(shop, "shop 3").value_parts.referral_cents == 0
    found = shop.lake.read(BY_NAME["referrals"]).to_pylist()
    assert len(found) == 2


def test_service_and_messages_cost(shop):
    one, other = (card_of(shop, user_id).value_parts for user_id in ("shop 8", "shop 3"))
    assert one.marketing_cents == other.marketing_cents - 6
    assert one.service_cents < -5 * 50
