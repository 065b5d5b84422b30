"""Offers and recommendations reach the outbox of their run: only customers who can be named and have not said no."""

import csv
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron import engage
from patron.engage.run_delivery import deliver
from patron.govern.outreach.suppression_list import ALL_TOPICS, COMPLAINT, HARD_BOUNCE, UNSUBSCRIBED, suppress
from patron.govern.privacy.consent_ledger import Consent, iso_time, write_consents
from patron.govern.vault import Vault
from patron.run import stage_view
from patron.schema.errors import SettingsError
from patron.schema.tables import BY_NAME
from patron.storage.outreach.sending_hold import SendingHold, delete_hold, write_hold
from patron.storage.runs.runs import Run
from patron.storage.shop import SETTINGS_FILE, Shop

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
RUN = Run.at(AS_OF)
PEOPLE = ("ann", "ben", "cai")
POLICY = """
[consent]
unknown = "allow"
[channel]
confirm = "automatic"
[[offers]]
id = "TEN"
name = "Ten off"
discount_share = 0.1
valid_days = 14
assumed_purchase_uplift = 0.08
"""


def put(shop, name, rows):
    table = BY_NAME[name]
    shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))


def decision(person, action):
    return {
        "run_id": RUN.run_id,
        "decision_id": f"d-{person}",
        "customer_id": person,
        "as_of": AS_OF,
        "action": action,
        **dict.fromkeys(("expected_net_value_cents", "effect_cents", "cost_cents"), 0.0),
        "propensity": 0.5,
        "reason": "exploring",
        "stratum": "at_risk/deals_low/value_low",
        "effect_source": "assumed",
        "policy_version": "p",
        "is_holdout": False,
        "consent_basis": "unknown_allowed",
    }


@pytest.fixture
def shop(new_workspace):
    (new_workspace / "policy.toml").write_text(POLICY, encoding="utf-8")
    shop = Shop.open(new_workspace)
    tokens = Vault.open(shop).store_tokens("user_id", pa.array(PEOPLE), AS_OF).to_pylist()
    put(
        shop,
        "identities",
        [
            {"token": token, "customer_id": person, "is_user": True, "known_at": AS_OF}
            for token, person in zip(tokens, PEOPLE, strict=True)
        ],
    )
    actions = {"ann": "TEN", "ben": "TEN", "cai": "none", "dee": "TEN"}
    put(shop, "decisions", [decision(person, action) for person, action in actions.items()])
    listed = {"run_id": RUN.run_id, "as_of": AS_OF, "product_id": "p", "reason": "popular", "rank": 1}
    put(shop, "recommendations", [{**listed, "customer_id": person} for person in (*PEOPLE, "dee")])
    yield shop
    shop.close()


def lines(shop, name):
    with (shop.folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def withdraw(shop, person):
    answer(shop, person, is_granted=False)


def answer(shop, person, *, is_granted, purpose="marketing"):
    token = Vault.open(shop).token("user_id", person)
    at = iso_time(AS_OF)
    words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
    write_consents(
        shop.store, [Consent("e", token, purpose, is_granted, "consent", occurred_at=at, known_at=at, **words)]
    )


def put_addresses(shop, addresses):
    """Events that bring addresses of users, a day after each other; returns the tokens of the addresses."""
    vault, contacts, rows = Vault.open(shop), [], []
    for day, (person, address) in enumerate(addresses):
        at, contact = AS_OF - timedelta(days=30 - day), vault.token("email", address)
        row = dict.fromkeys(BY_NAME["events"].schema().names)
        row |= {"source": "s", "event_id": f"e{day}", "name": "Identify", "month": "2024-01", "email_token": contact}
        row |= dict.fromkeys(("occurred_at", "received_at", "known_at"), at)
        rows.append(row | {"user_token": vault.token("user_id", person)})
        contacts.append(contact)
    put(shop, "events", rows)
    return contacts


def people_in_files(shop):
    done = deliver(stage_view(shop, engage, run=RUN))
    return done.outbox, {row["user_id"] for name in done.outbox.files for row in lines(shop, name)}


def test_an_offer_goes_to_everyone_whose_user_id_is_known(shop):
    done = deliver(stage_view(shop, engage, run=RUN))
    assert (done.outbox.offer_count, done.outbox.unreachable_count, done.outbox.recommended_customer_count) == (2, 1, 3)
    offers, recommendations = (lines(shop, name) for name in done.outbox.files)
    assert [(row["user_id"], row["valid_from"], row["valid_until"]) for row in offers] == [
        ("ann", "2024-03-01", "2024-03-15"),
        ("ben", "2024-03-01", "2024-03-15"),
    ]
    assert {row["user_id"] for row in recommendations} == set(PEOPLE)


def test_a_run_hands_over_nothing_while_sending_is_held_and_does_when_it_is_repeated(shop):
    with shop.store.begin() as connection:
        write_hold(connection, SendingHold(AS_OF, AS_OF, is_restored=True))
    done = deliver(stage_view(shop, engage, run=RUN))
    assert (done.outbox.offer_count, done.outbox.recommended_customer_count, done.outbox.files) == (0, 0, ())
    assert (done.events.num_rows, list(shop.folder.glob("outbox/**/*.csv"))) == (0, [])
    with shop.store.begin() as connection:
        delete_hold(connection)
    assert deliver(stage_view(shop, engage, run=RUN)).outbox.offer_count == 2


def test_a_recommended_product_has_the_shops_own_id_where_the_lake_has_its_token(shop):
    vault = Vault.open(shop)
    [token] = vault.store_tokens("identifier", pa.array(["13912345678"]), AS_OF).to_pylist()
    unknown = vault.token("identifier", "13812345678")
    one = {"run_id": RUN.run_id, "as_of": AS_OF, "reason": "popular", "customer_id": "ann"}
    put(shop, "recommendations", [one | {"rank": n, "product_id": p} for n, p in enumerate((token, unknown, "p"), 1)])
    done = deliver(stage_view(shop, engage, run=RUN))
    assert [row["product_id"] for row in lines(shop, done.outbox.files[1])] == ["13912345678", unknown, "p"]


def test_an_offer_is_valid_from_the_day_of_the_run_by_the_shops_clock(shop):
    (shop.folder / SETTINGS_FILE).write_text('[shop]\ntime_zone = "Europe/Berlin"\n', encoding="utf-8")
    shop.reload_settings()
    midnight = Run(RUN.run_id, datetime(2024, 2, 29, 23, tzinfo=UTC), RUN.seed)
    done = deliver(stage_view(shop, engage, run=midnight))
    assert {row["valid_from"] for row in lines(shop, done.outbox.files[0])} == {"2024-03-01"}


def test_exposures_and_events_are_those_of_the_offers_sent(shop):
    done = deliver(stage_view(shop, engage, run=RUN))
    exposed = shop.lake.read(BY_NAME["exposures"]).to_pylist()
    assert [(row["customer_id"], row["action"], row["is_delivered"]) for row in exposed] == [
        ("ann", "TEN", True),
        ("ben", "TEN", True),
    ]
    assert done.events["user_id"].to_pylist() == ["ann", "ben"]
    assert done.events["event_id"].to_pylist() == ["offer-d-ann-TEN", "offer-d-ben-TEN"]


def test_a_customer_who_withdrew_consent_since_the_decision_gets_nothing(shop):
    withdraw(shop, "ben")
    done = deliver(stage_view(shop, engage, run=RUN))
    assert (done.outbox.offer_count, done.outbox.recommended_customer_count) == (1, 2)
    assert (done.outbox.unreachable_count, done.outbox.refused_count) == (1, 1), "who refuses is not unreachable"
    assert all(row["user_id"] != "ben" for name in done.outbox.files for row in lines(shop, name))
    assert done.events["user_id"].to_pylist() == ["ann"]


def test_a_forgotten_customer_gets_nothing(shop):
    Vault.open(shop).shred([Vault.open(shop).token("user_id", "ann")])
    done = deliver(stage_view(shop, engage, run=RUN))
    assert done.events["user_id"].to_pylist() == ["ben"]


def test_a_second_delivery_of_a_run_replaces_the_first(shop):
    first = deliver(stage_view(shop, engage, run=RUN))
    files = [(shop.folder / name).read_bytes() for name in first.outbox.files]
    again = deliver(stage_view(shop, engage, run=RUN))
    assert first.events.equals(again.events)
    assert [(shop.folder / name).read_bytes() for name in again.outbox.files] == files
    assert shop.lake.read(BY_NAME["exposures"]).num_rows == 2


@pytest.mark.parametrize("agreed", ["", "ann"])
def test_no_file_holds_anybody_who_may_not_be_contacted(shop, agreed):
    (shop.folder / "policy.toml").write_text(POLICY.replace('"allow"', '"refuse"'), encoding="utf-8")
    shop.reload_settings()
    if agreed:
        answer(shop, agreed, is_granted=True)
    done = deliver(stage_view(shop, engage, run=RUN))
    people = {row["user_id"] for name in done.outbox.files for row in lines(shop, name)}
    assert people == ({agreed} if agreed else set())
    assert done.outbox.refused_count == 4 - len(people)
    assert done.outbox.recommended_customer_count == len(people)


@pytest.mark.parametrize("topic", [ALL_TOPICS, "offers"])
@pytest.mark.parametrize("reason", [COMPLAINT, UNSUBSCRIBED])
def test_no_file_holds_anybody_whose_address_is_suppressed(shop, topic, reason):
    contacts = put_addresses(shop, [("ann", "ann@shop.example"), ("ben", "ben@shop.example")])
    with shop.store.begin() as connection:
        suppress(connection, contacts[0], "email", topic, reason, AS_OF)
        suppress(connection, contacts[1], "email", "news", reason, AS_OF)
    outbox, people = people_in_files(shop)
    assert people == {"ben", "cai"}, "another topic's suppression does not matter"
    assert (outbox.offer_count, outbox.refused_count, outbox.unreachable_count) == (1, 1, 1)


def test_the_latest_address_counts(shop):
    contacts = put_addresses(
        shop, [("ann", "old@shop.example"), ("ann", "new@shop.example"), ("ben", "b@shop.example")]
    )
    with shop.store.begin() as connection:
        suppress(connection, contacts[0], "email", ALL_TOPICS, HARD_BOUNCE, AS_OF)
    assert people_in_files(shop)[1] == set(PEOPLE)
    with shop.store.begin() as connection:
        suppress(connection, contacts[1], "email", ALL_TOPICS, HARD_BOUNCE, AS_OF)
    assert people_in_files(shop)[1] == {"ben", "cai"}


@pytest.mark.parametrize(("purpose", "is_refused"), [("offers", True), ("offers/email", True), ("news", False)])
def test_no_file_holds_anybody_who_withdrew_the_topic_of_the_outbox(shop, purpose, is_refused):
    answer(shop, "ann", is_granted=True)
    answer(shop, "ben", is_granted=False, purpose=purpose)
    outbox, people = people_in_files(shop)
    assert ("ben" not in people, outbox.refused_count) == (is_refused, int(is_refused))


def test_the_policy_names_the_topic_of_the_outbox(shop):
    answer(shop, "ben", is_granted=False, purpose="news")
    (shop.folder / "policy.toml").write_text(POLICY.replace("[channel]", '[channel]\ntopic = "news"'), encoding="utf-8")
    shop.reload_settings()
    assert people_in_files(shop)[1] == {"ann", "cai"}
    (shop.folder / "policy.toml").write_text(POLICY.replace("[channel]", '[channel]\ntopic="gifts"'), encoding="utf-8")
    with pytest.raises(SettingsError, match="gifts"):
        shop.reload_settings()
