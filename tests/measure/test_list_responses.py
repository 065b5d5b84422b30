"""What lists brought: only feedback about places of our lists counts, each place once, with the order that followed."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from recommending_shop import AS_OF, order_line

from patron import measure
from patron.collect.loader import load_events
from patron.collect.segment_message import raw_event_of
from patron.govern.outreach.list_signatures import INTERESTS, signed_properties
from patron.govern.vault import Vault, initial_customer_id
from patron.measure.list_responses import measure_lists
from patron.recommenders.live.click_model import SOURCES
from patron.recommenders.live.list_feedback import ListFeedback, learn_responses
from patron.schema.data.raw_events import raw_events_table
from patron.schema.tables import EVENTS, IDENTITIES, LIST_SOURCES, ORDER_LINES, PRODUCT_RESPONSES
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import VAULT
from patron.storage.shop import Shop

DAY = AS_OF - timedelta(days=3)
PERSONAL = "made for ann.miller@example.org"
SHOWN, CLICKED = "Recommendation Shown", "Recommendation Clicked"


def place(vault: Vault, list_id: str, product_id: str, position: int, source: str) -> dict[str, object]:
    """What a shop sends back about a place of a list of ours; one source speaks for the product."""
    interests = {name: float(name == f"interest_{source}") for name in INTERESTS}
    numbers = {"position": position, "propensity": 0.75, "expected_clicks_per_1000": 12.3456, **interests}
    return signed_properties(vault, {"list_id": list_id, "scenario": "home", "product_id": product_id, **numbers})


def events_of(shop: Shop, other: Vault) -> list[tuple[str, str, dict[str, object], datetime]]:
    """Event, user, properties and time: of our lists, and of nobody's."""
    vault, hour = Vault.open(shop), timedelta(hours=1)
    first, second = place(vault, "l1", "p1", 1, "session"), place(vault, "l1", "p2", 2, "popular")
    third, own = place(vault, "l2", "p1", 1, "personal"), place(vault, "l3", PERSONAL, 4, "taste")
    fourth = place(vault, "l4", "p4", 1, "context")
    ours = [
        (SHOWN, "u1", first, DAY),
        (SHOWN, "u1", first, DAY + hour),
        (CLICKED, "u1", first, DAY + hour),
        (CLICKED, "u1", first, DAY + 2 * hour),
        (SHOWN, "u1", second, DAY),
        (CLICKED, "u2", third, DAY),
        (SHOWN, "u3", own, DAY),
        (CLICKED, "u3", own, DAY),
        (CLICKED, "u4", fourth, DAY),
    ]
    late, old = place(vault, "l5", "p1", 1, "session"), place(vault, "l6", "p1", 1, "session")
    forged = [{**second, name: 0.5} for name in ("propensity", "expected_clicks_per_1000", *INTERESTS)]
    forged += [{**second, "position": 1}, {**second, "product_id": "p1"}, {**second, "scenario": "cart"}]
    forged += [{**second, "list_id": "l2"}, {**second, "decision_id": first["decision_id"]}]
    forged += [{**fourth, "product_id": "p9"}]
    forged += [{"product_id": "p2", "decision_id": second["decision_id"]}, {"product_id": "p2", "position": 1}]
    foreign = place(other, "l1", "p2", 2, "popular")
    nobodys = [(CLICKED, user, one, DAY) for one in (*forged, foreign) for user in ("u1", "u4")]
    nobodys += [(CLICKED, "u2", {**third, "propensity": 0.5}, DAY + 2 * hour)]
    return [*ours, (CLICKED, "u1", late, AS_OF), (CLICKED, "u1", old, AS_OF - timedelta(days=181)), *nobodys]


def write_orders(shop: Shop) -> None:
    vault, hour = Vault.open(shop), timedelta(hours=1)
    tokens = {user: vault.token("user_id", user) for user in ("u1", "u2", "u3", "u4", "u5")}
    customers = {user: initial_customer_id(token) for user, token in tokens.items()}
    [own] = {row["product_id"] for row in shop.lake.read(EVENTS).to_pylist() if row["product_id"].startswith("i_")}
    rows = [
        ("u1", "p1", DAY + 4 * hour, {}),
        ("u1", "p2", DAY + 4 * hour, {}),  # shown, not clicked
        ("u2", "p1", DAY - hour, {}),
        ("u2", "p1", DAY + 25 * hour, {}),
        ("u3", own, DAY + 24 * hour, {}),
        ("u4", "p4", DAY + hour, {"is_refund": True}),
        ("u4", "p9", DAY + hour, {}),
        ("u5", "p4", DAY + hour, {}),
    ]
    lines = [order_line(n, customers[user], one, at, **more) for n, (user, one, at, more) in enumerate(rows)]
    shop.lake.replace(ORDER_LINES, pa.Table.from_pylist(lines, schema=ORDER_LINES.schema()))
    shared = {"is_user": True, "known_at": DAY, "shared_from": None, "rule": None}
    people = [{"token": token, "customer_id": customers[user], **shared} for user, token in tokens.items()]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(people, schema=IDENTITIES.schema()))


def measured(shop: Shop) -> tuple[list[dict], list[dict]]:
    view = shop.view(measure.READS, measure.WRITES, run=Run.at(AS_OF), capabilities={VAULT: Vault.open(shop)})
    measure_lists(view)
    return shop.lake.read(LIST_SOURCES).to_pylist(), shop.lake.read(PRODUCT_RESPONSES).to_pylist()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shops = [Shop.create(tmp_path_factory.mktemp(name) / "shop") for name in ("shop", "other")]
    messages = [
        {"type": "track", "event": event, "userId": user, "properties": properties, "timestamp": at.isoformat()}
        for event, user, properties, at in events_of(shops[0], Vault.open(shops[1]))
    ]
    rows = [raw_event_of({**one, "messageId": f"m{n}"}) for n, one in enumerate(messages)]
    counts = load_events(shops[0], raw_events_table(rows), source="web", known="occurred", received_at=AS_OF)
    assert counts.stored == len(rows)
    write_orders(shops[0])
    yield shops[0]
    for one in shops:
        one.close()


def test_each_place_of_our_lists_counts_once_and_nothing_else(shop):
    sources, responses = measured(shop)
    vault = Vault.open(shop)
    names = vault.reveal_identifiers([row["product_id"] for row in responses])
    counts = {
        name: (row["shown_count"], row["clicks"], row["orders"]) for name, row in zip(names, responses, strict=True)
    }
    assert counts == {"p1": (2, 2, 1), "p2": (1, 0, 0), PERSONAL: (1, 1, 1), "p4": (1, 1, 0)}
    assert PERSONAL not in {row["product_id"] for row in responses}
    assert {row["source"] for row in sources} == set(SOURCES)


def test_rows_are_what_these_places_teach(shop):
    sources, responses = measured(shop)
    places = [  # product, place, source, is clicked, is ordered
        (0, 1, "session", True, True),
        (1, 2, "popular", False, False),
        (0, 1, "personal", True, False),
        (2, 4, "taste", True, True),
        (3, 1, "context", True, False),
    ]
    columns = list(zip(*places, strict=True))
    interests = np.array([[float(one in {source, "any"}) for one in SOURCES] for source in columns[2]])
    feedback = ListFeedback(
        *(np.array(columns[at]) for at in (0, 1)), interests, *(np.array(columns[at]) for at in (3, 4))
    )
    weights, response = learn_responses(feedback, 4)
    by_source = {row["source"]: row for row in sources}
    for name, expected in (
        ("weight", weights.weights),
        ("clicks", response.source_clicks),
        ("orders", response.source_orders),
    ):
        np.testing.assert_allclose([by_source[source][name] for source in SOURCES], expected)
    names = Vault.open(shop).reveal_identifiers([row["product_id"] for row in responses])
    by_product = dict(zip(names, responses, strict=True))
    for name in ("clicks", "expected_clicks", "orders", "expected_orders"):
        rows = [by_product[product][name] for product in ("p1", "p2", PERSONAL, "p4")]
        np.testing.assert_allclose(rows, getattr(response, name))
    assert by_source["session"]["clicks"] > by_source["popular"]["clicks"]


def test_before_any_list_there_is_nothing(tmp_path):
    shop = Shop.create(tmp_path / "shop")
    assert measured(shop) == ([], [])
    shop.close()
