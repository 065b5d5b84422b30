"""An ad platform gets who agreed, as hashes, and is made to forget who left, withdrew or was forgotten."""

import csv
import hashlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from http_server import Answer, http_server
from patron.answers.outreach.audience_list import show_audience
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.loader import load_events
from patron.collect.request import SourceRules, validate_batch
from patron.commands.outreach.audiences.save_audience import EXAMPLE, save_audience
from patron.commands.outreach.audiences.sync_audience import sync_audience
from patron.commands.outreach.campaigns.campaign_steps import take_step
from patron.commands.outreach.messages.hold_sending import hold_sending, release_sending
from patron.commands.privacy.forget import forget
from patron.commands.segments.save_segment import save_segment
from patron.engage.providers.standard_webhooks import is_signed, keys_of, new_secret
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import ALL_TOPICS, COMPLAINT, suppress
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.errors import BadAudience, BadCampaign, ChannelUnavailable, SendingHeld
from patron.storage.outreach.audience_file import AUDIENCE, Audience
from patron.storage.outreach.audience_members import insert_adding
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import AUDIENCE_MEMBERS
from patron.storage.outreach.versioned_drafts import lock_campaigns
from patron.storage.shop import Shop

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 2, tzinfo=UTC)
EVERYBODY, BUYERS = {"all": []}, {"event": "Order Completed", "within_days": 10}
MEMBERS = {f"u{n}" for n in range(15)}
SHARED_NUMBER = "+1 657 777 0000"


def event(number, user, name, at, **fields):
    return {"event_id": f"a{number}-{user}-{name}", "name": name, "user_id": user, "occurred_at": at} | fields


def answer(user, purpose, name="Consent Given", at=AS_OF - timedelta(days=3)):
    return event(purpose, user, name, at, properties=json.dumps({"purpose": purpose, "basis": "consent"}))


def load(shop, events):
    names = ("event_id", "name", "user_id", "personal", "properties")
    columns = {name: pa.array([one.get(name) for one in events], pa.string()) for name in names}
    columns["occurred_at"] = pa.array([one["occurred_at"] for one in events], pa.timestamp("us", tz="UTC"))
    assert load_events(shop, pa.table(columns), source="web", known="occurred", received_at=NOW).rejected == 0


def address(user):
    return f"{user.title()}@People.example"


@pytest.fixture(scope="module")
def prepared(finished, tmp_path_factory):
    """All have an address but u15; u0 and u1 share a number; u16 complained; u17 left marketing, u18 advertising."""
    home = tmp_path_factory.mktemp("audiences")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        shutil.copytree(finished, home, dirs_exist_ok=True)
        shop, at = Shop.open(home / "w"), AS_OF - timedelta(days=4)
        phones = {user: {"phone": SHARED_NUMBER} for user in ("u0", "u1")}
        people = [
            event(0, user, "Identify", at, personal=json.dumps({"email": address(user)} | phones.get(user, {})))
            for user in (f"u{n}" for n in range(20))
            if user != "u15"
        ]
        consents = [answer(f"u{n}", "advertising") for n in range(18)]
        consents += [answer("u17", "marketing", "Consent Withdrawn"), answer("u18", "advertising", "Consent Withdrawn")]
        load(shop, [*people, *consents])
        with shop.store.begin() as connection:
            suppress(connection, Vault.open(shop).token("email", address("u16")), "email", ALL_TOPICS, COMPLAINT, at)
        run_loop(shop, AS_OF)
        shop.close()
    return home


@pytest.fixture
def shop(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    shop = Shop.open(tmp_path / "w")
    segment(shop, EVERYBODY)
    yield shop
    shop.close()


def segment(shop, rule):
    save_segment(RequestContext.from_name(shop, "Ann", now=NOW), {"name": "buyers", "rule": rule})


def save(shop, **changes):
    content = {"name": "ads", "segment": "buyers", "identifiers": ["email", "phone"]} | changes
    return save_audience(RequestContext.from_name(shop, "Ann", now=NOW), Audience.of(content, where="test"))


def sync(shop, *, small=True, at=NOW, **options):
    return sync_audience(RequestContext.from_name(shop, "Ann", now=at), "ads", is_small_allowed=small, **options)


def email_hash(user):
    return hashlib.sha256(address(user).lower().encode()).hexdigest()


def hashes(users):
    return {email_hash(user) for user in users}


def listed(shop, operation):
    """E-mail hashes in the files of an operation."""
    found = []
    for path in (shop.folder / "outbox" / "audiences").rglob(f"{operation}-*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            found += [row["Email"] for row in csv.DictReader(file) if row["Email"]]
    return found


def stored(shop):
    with shop.store.begin() as connection:
        return {
            (row.customer_id, row.state): json.loads(row.identifiers)
            for row in connection.execute(AUDIENCE_MEMBERS.select())
        }


def test_only_who_agreed_and_has_an_address_is_added_as_hashes(shop):
    save(shop)
    trial = sync(shop, is_dry_run=True)
    assert (trial.member_count, trial.added_count, trial.is_dry_run, stored(shop)) == (15, 15, True, {})
    done = sync(shop)
    assert (done.added_count, done.removed_count) == (15, 0)
    assert done.left_out == {"no_consent": 3, "suppressed": 1, "no_identifier": 1}
    assert sorted(listed(shop, "added")) == sorted(hashes(MEMBERS))
    assert "people.example" not in (shop.folder / done.files[0]).read_text(encoding="utf-8").lower()
    assert {state for _, state in stored(shop)} == {"added"}
    again = sync(shop)
    assert (again.added_count, again.removed_count, again.files) == (0, 0, ())
    entries = [
        json.loads(entry.details) for entry in audit_log.entries(shop.store) if entry.action == "audience synced"
    ]
    assert entries == [{"audience": "ads", "version": 1, "added": 15, "removed": 0, "by": "Ann"}]


def test_who_leaves_the_segment_or_withdraws_is_removed_and_may_come_back(shop):
    save(shop)
    sync(shop)
    load(shop, [answer("u0", "advertising", "Consent Withdrawn", NOW)])
    segment(shop, BUYERS)
    done = sync(shop, at=NOW + timedelta(hours=1))
    gone = MEMBERS - {f"u{n}" for n in range(20) if email_hash(f"u{n}") in listed(shop, "added")}
    assert "u0" in gone
    assert done.removed_count == len(gone) == len(listed(shop, "removed"))
    assert set(listed(shop, "removed")) == hashes(gone)
    assert {one["email"] for one in stored(shop).values()} == hashes(MEMBERS - gone), "what was removed is deleted"
    numbers = {one["phone"] for one in stored(shop).values() if "phone" in one}
    text = "".join(path.read_text() for path in (shop.folder / "outbox" / "audiences").rglob("removed-*.csv"))
    assert not any(number in text for number in numbers), "a number that somebody else has stays"
    segment(shop, EVERYBODY)
    sync(shop, at=NOW + timedelta(hours=2))
    assert set(listed(shop, "added")) == hashes(MEMBERS - {"u0"})
    assert set(listed(shop, "removed")) == hashes({"u0"}), "who came back is in no file that removes them"


def test_of_who_was_forgotten_nothing_is_left_once_the_removal_is_out(shop):
    save(shop)
    sync(shop)
    load(shop, [answer("u0", "advertising", "Consent Withdrawn", NOW)])
    [uploaded] = sync(shop, at=NOW + timedelta(minutes=1)).files
    certificate = forget(RequestContext.from_name(shop, now=NOW), user_id="u3")
    assert uploaded in certificate.files_left, "nobody can say who is in it, so somebody must delete it"
    (shop.folder / uploaded).unlink()
    assert email_hash("u3") not in listed(shop, "added")
    [(customer, state)] = [place for place, one in stored(shop).items() if one["email"] == email_hash("u3")]
    assert (customer.startswith("forgotten-"), state) == (True, "removing")
    assert any("ad platforms" in place for place, count in certificate.erased.items() if count)
    done = sync(shop, at=NOW + timedelta(hours=1))
    assert (done.removed_count, listed(shop, "removed")) == (1, [email_hash("u3")])
    assert email_hash("u3") not in {one["email"] for one in stored(shop).values()}


def test_who_is_forgotten_in_the_middle_of_a_sync_is_not_added(shop):
    with http_server() as server:
        connector(shop, server)
        sync(shop)
        load(shop, [answer("u0", "advertising", "Consent Withdrawn", NOW), answer("u18", "advertising", at=NOW)])

        def forget_first(_):
            other = Shop.open(shop.folder)
            forget(RequestContext.from_name(other, now=NOW), user_id="u18")
            other.close()
            return Answer()

        server.answer = forget_first  # why: the request that removes u0 comes before the one that adds u18
        done = sync(shop, at=NOW + timedelta(hours=1))
    assert (done.removed_count, done.added_count, len(server.requests)) == (1, 0, 2)
    assert hashes({"u18"}).isdisjoint(one["email"] for one in stored(shop).values())


def connector(shop, server, **changes):
    """Save the audience with a connector on this machine."""
    (shop.folder / "audience.secret").write_text(new_secret(), encoding="utf-8")
    target = {"kind": "http", "url": server.url, "secret_file": "audience.secret", "local_hosts": ["127.0.0.1"]}
    save(shop, destination=target | changes)


def test_who_is_forgotten_while_others_are_added_is_not_added(shop):
    with http_server() as server:
        connector(shop, server, batch_size=14)
        victims = []

        def forget_one(_):
            if not victims:
                (last, _), identifiers = max(stored(shop).items(), key=lambda one: one[0])
                victims.append(identifiers["email"])  # why not the number: two people share it
                other = Shop.open(shop.folder)
                forget(RequestContext.from_name(other, now=NOW), customer_id=last)
                other.close()
            return Answer()

        server.answer = forget_one
        assert sync(shop).added_count == 14
    assert victims
    assert not any(victim in request.body.decode() for victim in victims for request in server.requests)


def test_of_an_audience_that_is_withdrawn_in_the_middle_of_a_sync_nobody_is_added(shop):
    with http_server() as server:
        connector(shop, server)
        sync(shop)
        load(shop, [answer("u0", "advertising", "Consent Withdrawn", NOW), answer("u18", "advertising", at=NOW)])

        def withdraw(_):
            take_step(RequestContext.from_name(shop, "Ann", now=NOW), AUDIENCE, "ads", "withdrawn")
            return Answer()

        server.answer = withdraw
        with pytest.raises(BadAudience, match="withdrawn while it was synced"):
            sync(shop, at=NOW + timedelta(hours=1))
        assert len(server.requests) == 2
        server.answer = lambda _: Answer()
        assert sync(shop, at=NOW + timedelta(hours=2)).removed_count == 14
    assert stored(shop) == {}


def test_nothing_is_synced_while_sending_is_held_and_a_hold_stops_a_sync(shop):
    ann = RequestContext.from_name(shop, "Ann", now=NOW)
    with http_server() as server:
        connector(shop, server)
        hold_sending(ann, since=NOW)
        with pytest.raises(SendingHeld, match="sending release"):
            sync(shop)
        assert (server.requests, stored(shop)) == ([], {})
        assert sync(shop, is_dry_run=True).added_count == 15
        release_sending(ann, is_nothing_sent=True)
        sync(shop)
        load(shop, [answer("u0", "advertising", "Consent Withdrawn", NOW), answer("u18", "advertising", at=NOW)])

        def hold(_):
            hold_sending(ann, since=NOW)
            return Answer()

        server.requests.clear()
        server.answer = hold
        with pytest.raises(SendingHeld):
            sync(shop, at=NOW + timedelta(hours=1))
        assert len(server.requests) == 1, "the removal that was on its way"
        release_sending(ann, is_nothing_sent=True)
        server.answer = lambda _: Answer()
        done = sync(shop, at=NOW + timedelta(hours=2))
        assert (done.added_count, done.removed_count) == (1, 0)


def test_a_withdrawal_that_waits_in_the_inbox_counts(shop):
    withdrawal = {"type": "track", "event": "Consent Withdrawn", "userId": "u0", "messageId": "away"}
    withdrawal |= {"timestamp": NOW.isoformat(), "properties": {"purpose": "advertising"}}
    rules = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=True)
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": [withdrawal]}).encode(), "web", NOW, rules)])
    save(shop)
    assert sync(shop).added_count == 14
    assert set(listed(shop, "added")) == hashes(MEMBERS - {"u0"})


def test_a_receiver_that_takes_an_id_once_has_who_came_and_left_again(shop):
    there, taken = set(), set()

    def take(request):
        if request.headers["webhook-id"] not in taken:
            taken.add(request.headers["webhook-id"])
            change = json.loads(request.body)["data"]
            there.update(one["email"] for one in change["add"])
            there.difference_update(one["email"] for one in change["remove"])
        return Answer()

    with http_server() as server:
        server.answer = take
        connector(shop, server)
        sync(shop)
        for hours, name in enumerate(("Consent Withdrawn", "Consent Given", "Consent Withdrawn"), start=1):
            at = NOW + timedelta(hours=hours)
            load(shop, [answer("u0", "advertising", name, at) | {"event_id": f"again-{hours}"}])
            sync(shop, at=at)
            assert (email_hash("u0") in there) is (name == "Consent Given")


def test_a_small_audience_is_not_added_and_is_still_removed(shop):
    save(shop)
    with pytest.raises(BadAudience, match="15 members, fewer than 20"):
        sync(shop, small=False)
    assert stored(shop) == {}
    sync(shop)
    take_step(RequestContext.from_name(shop, "Ann", now=NOW), AUDIENCE, "ads", "withdrawn")
    assert sync(shop, small=False).removed_count == 15
    assert (stored(shop), show_audience(shop, "ads").is_withdrawn) == ({}, True)


def test_a_batch_whose_answer_was_lost_is_repeated_with_the_same_id_until_it_is_confirmed(shop):
    secret = new_secret()
    (shop.folder / "audience.secret").write_text(secret, encoding="utf-8")
    with http_server() as server:
        target = {"kind": "http", "url": f"{server.url}/ads", "secret_file": "audience.secret", "batch_size": 10}
        save(shop, destination=target | {"local_hosts": ["127.0.0.1"]})
        server.answer = lambda _: Answer(raw=b"") if len(server.requests) == 2 else Answer()
        with pytest.raises(ChannelUnavailable, match="does not answer"):
            sync(shop)
        line = show_audience(shop, "ads")
        assert (line.added_count, line.adding_count) == (10, 5)
        assert sync(shop, at=NOW + timedelta(hours=1)).added_count == 5
        ids = [request.headers["webhook-id"] for request in server.requests]
        assert (len(set(ids)), ids[1] == ids[2]) == (2, True)
        for request in server.requests[:2]:
            assert is_signed(keys_of(secret), request.headers, request.body, now=NOW)
        bodies = [json.loads(request.body)["data"] for request in server.requests]
        assert {one["email"] for body in bodies for one in body["add"]} == hashes(MEMBERS)
        server.answer = lambda _: Answer(status=500)
        take_step(RequestContext.from_name(shop, "Ann", now=NOW), AUDIENCE, "ads", "withdrawn")
        with pytest.raises(ChannelUnavailable, match="HTTP 500"):
            sync(shop)
        assert show_audience(shop, "ads").removing_count == 15
        server.answer = lambda _: Answer()
        assert sync(shop).removed_count == 15
        removed = [json.loads(request.body)["data"]["remove"] for request in server.requests[-2:]]
        assert {person["email"] for people in removed for person in people} == hashes(MEMBERS)


def test_members_that_are_just_being_added_hold_back_another_destination(shop):
    save(shop)
    other = {"kind": "http", "url": "https://ads.example/", "secret_file": "s"}
    second = Shop.open(shop.folder)
    with ThreadPoolExecutor(1) as pool:
        with shop.store.begin() as connection:
            lock_campaigns(connection)
            insert_adding(connection, "ads", {"a" * 32: {"email": "b" * 64}}, NOW)
            saving = pool.submit(save, second, destination=other)
            time.sleep(0.3)  # why: long enough for it to look for members
        with pytest.raises(BadAudience, match="destination still has members"):
            saving.result(timeout=10)
    second.close()


def test_a_file_is_refused_that_would_lose_sight_of_members_or_has_a_name_in_use(shop, tmp_path):
    (tmp_path / "e.toml").write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(BadAudience, match="no segment 'every customer'"):
        save_audience(RequestContext.from_name(shop, "Ann", now=NOW), Audience.load(tmp_path / "e.toml"))
    assert (save(shop).version, save(shop).version, save(shop, identifiers=["email"]).version) == (1, 1, 2)
    sync(shop)
    target = {"kind": "http", "url": "https://ads.example/", "secret_file": "s"}
    with pytest.raises(BadAudience, match="destination still has members"):
        save(shop, destination=target)
    template = {"en": {"subject": "Hello", "body": "Hello", "format": "text"}}
    window = {"start": "2024-07-01T00:00:00", "end": "2024-07-02T00:00:00"}
    other = {"name": "ads", "segment": "buyers", "topic": "offers", "budget": 1, "template": template} | window
    with (
        pytest.raises(BadCampaign, match="an audience has the name"),
        shop.store.begin() as connection,
    ):
        CAMPAIGN.save(connection, Campaign.of(other, where="test"), "Ann", NOW)
    for wrong in ({"kind": "http"}, target | {"url": "http://ads.example/"}, {"kind": "ftp"}):
        with pytest.raises(BadAudience, match="destination"):
            save(shop, destination=wrong)
