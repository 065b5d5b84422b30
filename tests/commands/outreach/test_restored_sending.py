"""A backup older than the last sends, restored: nobody is written to twice, whatever sends."""

import bz2
import gzip
import json
import lzma
import tarfile
import time
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from tests.support.shops import journey_shop
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    messages,
    with_policy,
)
from tests.support.shops.journey_shop import HOUR, START, happen, journey
from tests.support.shops.workspace_copies import copy_files

from patron.collect.inbox.compaction import load_inbox
from patron.commands.data.backup import backup, restore
from patron.commands.data.doctor import doctor
from patron.commands.data.send_webhooks import send_webhooks
from patron.commands.outreach.journeys import advance_journeys as journeys
from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.commands.outreach.messages.hold_sending import (
    hold_sending,
    message_ids_in,
    read_sent_ids,
    release_after,
    release_sending,
    show_sending,
)
from patron.commands.outreach.messages.send_campaign import preview_send, send_campaign
from patron.commands.outreach.messages.send_due_campaigns import send_due_campaigns
from patron.commands.segments.save_segment import save_segment
from patron.engage.channels.channel import Outcome
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadCampaign, BadFile, SendingHeld, WorkspaceError
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS
from patron.storage.shop import Shop

PEOPLE = [Person(f"p{n:02d}") for n in range(30)]
LATER = AT + timedelta(hours=2)


def context(shop, at=LATER):
    return RequestContext.from_name(shop, "Bo", now=at)


def send(shop, channel, name=NAME, at=LATER):
    return send_campaign(RequestContext.from_name(shop, now=at), name, channel=channel)


class StoppingChannel(ScriptedChannel):
    """Takes some messages; for the others nobody is there."""

    def __init__(self, count):
        super().__init__(lambda _address, _n: Outcome.SENT if len(self.taken) < count else Outcome.DEFERRED)


@pytest.fixture
def lost(shop, tmp_path):
    """A shop that was backed up when 10 of 30 messages were sent, and has sent 15 more since."""
    shop = with_policy(shop)
    add_people(shop, PEOPLE)
    approve(shop, PEOPLE)
    before = StoppingChannel(10)
    send(shop, before, at=AT)
    backup(shop, tmp_path / "b.tar.gz")
    since = StoppingChannel(15)
    send(shop, since, at=AT + timedelta(hours=1))
    shop.sent = [*before.addresses, *since.addresses]
    assert len(set(shop.sent)) == 25
    return shop


@pytest.fixture
def restored(lost, tmp_path):
    again = lost.folder.parent / "again"
    restore(tmp_path / "b.tar.gz", again, now=LATER)
    with closing(Shop.open(again)) as shop:
        yield shop


def ids_sent_since(lost, restored):
    """Ids that only the workspace that was lost knows as sent."""
    sent = sa.select(MESSAGES.c.message_id).where(MESSAGES.c.state == "sent")
    known = set[str]()
    with restored.store.begin() as connection:
        known |= set(connection.scalars(sent))
    with lost.store.begin() as connection:
        return sorted(set(connection.scalars(sent)) - known)


def test_a_restored_workspace_hands_over_nothing_and_everybody_says_so(restored):
    channel = ScriptedChannel()
    with pytest.raises(SendingHeld, match=r"what was sent after .* is not known here") as refused:
        send(restored, channel)
    assert "patron sending release" in str(refused.value)
    _, troubles = send_due_campaigns(restored, clock=lambda: LATER)
    assert [type(one) for one in troubles] == [SendingHeld]
    for refuses in (
        lambda: send_webhooks(restored, clock=lambda: LATER),
        lambda: hold_sending(context(restored), since=AT) and send(restored, channel),
    ):
        with pytest.raises(SendingHeld):
            refuses()
    assert channel.taken == []
    assert preview_send(restored, NAME, now=LATER).by_reason == {"due": 20}, "a dry run writes to nobody"
    assert ("sending", "warning") in {(one.check, one.level) for one in doctor(restored.folder)}
    state = show_sending(restored)
    assert (state.is_held, state.campaigns, state.held_at, state.is_restored) == (True, (NAME,), LATER, True)
    assert state.since <= LATER


def test_what_was_sent_since_the_backup_is_never_sent_again_and_the_rest_is(lost, restored):
    log = "".join(
        f"Mar  1 13:00:00 mx postfix/cleanup[7]: 4XyZ12: message-id=<{one}@shop.example>\n"
        for one in ids_sent_since(lost, restored)
    )
    state = release_sending(context(restored), sent=log)
    assert not state.is_held
    channel = ScriptedChannel()
    summary = send(restored, channel)
    assert sorted(lost.sent + channel.addresses) == sorted(person.address for person in PEOPLE)
    assert (summary.sent_count, summary.unknown_count, summary.state) == (30, 0, "ended")
    with restored.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(MESSAGES.c.sent_at == LATER)) == 20
    (entry,) = [one for one in audit_log.entries(restored.store) if one.action == "sending released"]
    assert (json.loads(entry.details)["sent_count"], audit_log.log_problem(restored)) == (15, "")


def test_the_workspace_that_was_replaced_says_what_it_sent(lost, restored, tmp_path):
    release_after(context(restored), read_sent_ids(restored, lost.folder), is_nothing_sent=False)
    channel = ScriptedChannel()
    send(restored, channel)
    assert sorted(lost.sent + channel.addresses) == sorted(person.address for person in PEOPLE)
    with closing(Shop.create(tmp_path / "other")) as other, pytest.raises(WorkspaceError, match="another workspace"):
        read_sent_ids(other, lost.folder)


def test_a_campaign_that_was_made_after_the_backup_is_sent_to_nobody_twice(lost, restored, tmp_path):
    approve(lost, PEOPLE, name="new")
    since = StoppingChannel(12)
    send(lost, since, "new")
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    lines = [json.dumps({"message_id": one.message_id}) for one in since.taken]
    (outbox / "a.jsonl").write_text("\n".join(lines))
    (outbox / "empty").write_text("")
    release_after(context(restored), read_sent_ids(restored, outbox), is_nothing_sent=False)
    approve(restored, PEOPLE, name="new", budget=1_000.0)
    channel = ScriptedChannel()
    assert send(restored, channel, "new").sent_count == 30
    assert sorted(since.addresses + channel.addresses) == sorted(person.address for person in PEOPLE)


def test_reported_messages_use_up_the_budget_and_count_for_caps(lost, restored):
    people = [replace(person, cost_cents=100.0) for person in PEOPLE]
    approve(lost, people, name="dear")
    since = StoppingChannel(12)
    send(lost, since, "dear")
    text = " ".join(one.message_id for one in since.taken)
    release_sending(context(restored), sent=text)
    approve(restored, people, name="dear", budget=20.0)
    channel = ScriptedChannel()
    send(restored, channel, "dear")
    assert len(channel.addresses) == 20 - 12
    capped = with_policy(restored, "[messages]\nquiet_hours = []\ncaps = [{ most = 1, within_days = 7 }]\n")
    approve(capped, PEOPLE, name="third")
    third = ScriptedChannel()
    send(capped, third, "third")
    assert not set(third.addresses) & {*since.addresses, *channel.addresses}
    capped.close()


def test_a_release_that_does_not_say_what_was_sent_is_refused_and_stays_held(restored):
    texts = ("", "  ", "nobody knows", "F" * 32, "a" * 31, "a" * 64)
    for given in (*({"sent": text} for text in texts), {"sent": "a" * 32, "is_nothing_sent": True}):
        with pytest.raises(BadCampaign, match=r"nobody says what was sent|no message id"):
            release_sending(context(restored), **given)
    assert show_sending(restored).is_held


def test_files_that_name_nothing_are_refused(restored, tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "folder").mkdir()
    for name in ("empty", "folder", "missing"):
        with pytest.raises(BadFile, match=r"no message id|cannot be read"):
            read_sent_ids(restored, tmp_path / name)


CUSTOMER, IDS = "c" * 32, ["1" * 32, "2" * 32]


@pytest.mark.parametrize(
    "text",
    [
        f"Message-ID: <{IDS[0]}@shop.example>\r\nMessage-ID: <{IDS[1]}@shop.example>\r\n",
        "".join(f"Mar  1 13:00:00 mx postfix/cleanup[7]: 4XyZ12: message-id=<{one}@a.b>\n" for one in IDS),
        "".join(f'2026-03-01 13:00:00 1uMk9X-0001AB-2c <= a@b.c H=mx S=9 id={one}@a.b T="x"\n' for one in IDS),
        "\n".join(json.dumps({"customer_id": CUSTOMER, "message_id": one}) for one in IDS),
        json.dumps([{"customer_id": CUSTOMER, "message_id": one} for one in IDS], indent=1),
        json.dumps(json.dumps([{"customer_id": CUSTOMER, "message_id": one} for one in IDS])),
        "\n".join(IDS),
        f"  {IDS[0]}\t{IDS[1]}  \r\n",
        f"\ufeffcustomer_id;message_id\n{CUSTOMER};{IDS[0]}\n{CUSTOMER};{IDS[1]}\n",
        f'"message_id","name"\r\n"{IDS[0]}","a ""b"", c\nd"\r\n{IDS[1]},x\r\n{CUSTOMER}\r\n'.replace(CUSTOMER, ""),
        f'customer_id,name,message_id\n{CUSTOMER},"a, b",{IDS[0]}\n{CUSTOMER},b\n{CUSTOMER},b,{IDS[1]}\n',
        f"message_id\n{IDS[0]}\n{IDS[1]}\n",
        f"These were sent:\n{IDS[0]}\n\n{IDS[1]}\n",
    ],
)
def test_ids_are_read_where_an_id_of_a_message_stands(text):
    assert sorted(message_ids_in(text)) == IDS


@pytest.mark.parametrize(
    "text",
    [
        f"decision_id,user_id,offer\nd-{CUSTOMER}-TEN,{CUSTOMER},TEN\n",
        f"customer_id,value\n{CUSTOMER},3\n",
        f"customer_id\n{CUSTOMER}\n",
        f'"customer_id"\n{CUSTOMER}\n',
        f"Customer ID\n{CUSTOMER}\n",
        json.dumps({"customer_id": CUSTOMER, "customer_ids": [CUSTOMER]}),
        json.dumps({"customer_ids": [CUSTOMER]}, indent=1),
        f"Mar  1 13:00:00 mx app[7]: customer {CUSTOMER} order id={CUSTOMER} to=<{CUSTOMER}>",
        f"sha {CUSTOMER}  file.csv\n{CUSTOMER}  file.csv\n",
        f"offer-d-{CUSTOMER}-TEN",
        f"| customer |\n| {CUSTOMER} |",
        f"<{CUSTOMER}a@shop> <{CUSTOMER}>",
        f"message_id,customer_id\n,{CUSTOMER}\n",
    ],
)
def test_ids_of_customers_and_digests_are_no_ids_of_messages(text):
    assert message_ids_in(text) == frozenset()


@pytest.mark.parametrize("text", ["a" + " " * 3_000_000 + "!", " " * 3_000_000 + "!", 'message_id"' * 300_000])
def test_a_long_text_that_names_nothing_is_read_at_once(text):
    started = time.monotonic()
    assert message_ids_in(text) == frozenset()
    assert time.monotonic() - started < 5


def test_a_table_that_cannot_be_read_is_refused(restored, tmp_path):
    text = f'message_id,name\n{IDS[0]},"{"a" * 200_000}'
    (tmp_path / "sent.csv").write_text(text)
    with pytest.raises(BadFile, match=r"sent\.csv.*cannot be read"):
        read_sent_ids(restored, tmp_path / "sent.csv")
    with pytest.raises(BadFile, match="cannot be read"):
        release_sending(context(restored), sent=text)


def test_evidence_that_proves_nothing_is_refused(restored, tmp_path):
    for folder in (restored.folder, restored.folder / "."):
        with pytest.raises(WorkspaceError, match="is this workspace"):
            read_sent_ids(restored, folder)
    copy = copy_files(restored.folder, tmp_path / "copy")
    with pytest.raises(WorkspaceError, match="is this workspace"):
        read_sent_ids(restored, copy)
    with restored.store.begin() as connection:
        known = frozenset(connection.scalars(sa.select(MESSAGES.c.message_id).where(MESSAGES.c.state == "sent")))
    with pytest.raises(BadCampaign, match="is known here as sent"):
        release_after(context(restored), known, is_nothing_sent=False)
    assert show_sending(restored).is_held
    release_after(context(restored), known | {"a" * 32}, is_nothing_sent=False)
    with restored.store.begin() as connection:
        reported = set(connection.scalars(sa.select(RECEIPTS.c.message_id).where(RECEIPTS.c.kind == "reported")))
    assert reported == {"a" * 32}


def test_what_was_reported_after_an_earlier_restore_is_told_by_the_workspace_it_was_reported_to(restored, tmp_path):
    release_after(context(restored), frozenset(IDS), is_nothing_sent=False)
    restore(tmp_path / "b.tar.gz", tmp_path / "third", now=LATER)
    with closing(Shop.open(tmp_path / "third")) as third:
        assert read_sent_ids(third, restored.folder) >= set(IDS)
        release_after(context(third), frozenset(IDS), is_nothing_sent=False)
        hold_sending(context(third), since=AT)
        with pytest.raises(BadCampaign, match="is known here as sent"):
            release_after(context(third), frozenset(IDS), is_nothing_sent=False)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda text: b"(\xb5/\xfd" + text])
def test_a_compressed_file_of_a_folder_is_refused_not_skipped(restored, tmp_path, pack):
    (tmp_path / "mail.log").write_text(f"<{IDS[0]}@shop.example>")
    (tmp_path / "mail.log.2").write_bytes(pack(f"<{IDS[1]}@shop.example>".encode()))
    with pytest.raises(BadFile, match=r"mail\.log\.2.*is compressed"):
        read_sent_ids(restored, tmp_path)


def test_an_archive_of_a_folder_is_refused_not_skipped(restored, tmp_path):
    with zipfile.ZipFile(tmp_path / "outbox.zip", "w") as packed:
        packed.writestr("a.txt", f"<{IDS[0]}@shop.example>")
    with pytest.raises(BadFile, match="is compressed"):
        read_sent_ids(restored, tmp_path)


def test_who_holds_sending_by_hand_says_since_when_it_is_unknown_what_was_sent(shop):
    with pytest.raises(BadCampaign, match="has not come yet"):
        hold_sending(context(shop), since=LATER + timedelta(seconds=1))
    assert not show_sending(shop).is_held
    since = AT - timedelta(days=3)
    state = hold_sending(context(shop), since=since.astimezone(ZoneInfo("Asia/Shanghai")))
    assert (state.since, state.held_at, state.is_restored) == (since, LATER, False)
    assert hold_sending(context(shop), since=AT).since == since, "the earlier time stays"
    with pytest.raises(SendingHeld, match=rf"after {since:%Y-%m-%d %H:%M} UTC is not known"):
        send_webhooks(shop, clock=lambda: LATER)


def test_sending_is_unknown_since_the_store_was_copied_not_since_the_lake_was_packed(lost, tmp_path):
    before = datetime.now(UTC)
    backup(lost, tmp_path / "now.tar.gz")
    with tarfile.open(tmp_path / "now.tar.gz") as packed, tarfile.open(tmp_path / "slow.tar.gz", "w:gz") as slow:
        for member in packed.getmembers():
            if member.name == "store.db":
                copied_at = member.mtime
            else:
                member.mtime += 3_600
            slow.addfile(member, packed.extractfile(member))
    restore(tmp_path / "slow.tar.gz", tmp_path / "slow", now=before + timedelta(days=900))
    with closing(Shop.open(tmp_path / "slow")) as slow:
        since = show_sending(slow).since
        assert abs(since.timestamp() - copied_at) < 1e-3
        assert since - before < timedelta(minutes=5)


def test_who_says_that_nothing_was_sent_goes_on_and_there_is_nothing_to_release_again(restored):
    assert not release_sending(context(restored), is_nothing_sent=True).is_held
    channel = ScriptedChannel()
    send(restored, channel)
    assert len(channel.taken) == 20
    with pytest.raises(BadCampaign, match="is not held"):
        release_sending(context(restored), is_nothing_sent=True)
    send_webhooks(restored, clock=lambda: LATER)


def test_a_backup_of_a_held_workspace_is_held_since_the_first_backup(restored, tmp_path):
    since = show_sending(restored).since
    backup(restored, tmp_path / "second.tar.gz")
    restore(tmp_path / "second.tar.gz", tmp_path / "third", now=LATER + timedelta(days=900))
    with closing(Shop.open(tmp_path / "third")) as third:
        assert show_sending(third).since == since


def test_a_hold_stops_a_sender_that_is_at_work(shop):
    shop = with_policy(shop)
    add_people(shop, PEOPLE)
    approve(shop, PEOPLE)

    def answer(_address, _attempt):
        if len(channel.attempts) == 5:
            hold_sending(context(shop, AT), since=AT)
        return Outcome.SENT

    channel = ScriptedChannel(answer)
    assert send(shop, channel, at=AT).waiting_count == 20
    assert len(channel.taken) == 10, "those that were marked"


def test_journeys_wait_while_sending_is_held_and_send_no_message_of_the_outbox_again(shop, tmp_path, monkeypatch):
    shop = with_policy(shop)
    people = PEOPLE[:6]
    add_people(shop, people)
    journey_shop.start(shop, journey())
    happen(shop, *((person.name, "Product Added", START) for person in people[:4]))
    journey_shop.advance(shop, START)
    backup(shop, tmp_path / "b.tar.gz")
    happen(shop, *((person.name, "Product Added", START + HOUR / 2) for person in people[4:]))
    journey_shop.advance(shop, START + HOUR / 2)
    before = ScriptedChannel()
    journey_shop.advance(shop, START + 2 * HOUR, before)
    assert len(before.taken) == 6
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=START + 2 * HOUR)
    after = ScriptedChannel()
    moved = []
    monkeypatch.setattr(journeys, "load_inbox", lambda one: moved.append(one) or load_inbox(one))
    with closing(Shop.open(tmp_path / "again")) as again:
        for _ in range(3):
            moved.clear()
            due_at, troubles = advance_journeys(again, clock=lambda: START + 2 * HOUR, channel=lambda _name: after)
            assert [type(one) for one in troubles] == [SendingHeld]
            assert due_at is not None
        assert moved == [], "a message that waits for a person moves the inbox in no round"
        release_sending(context(again), sent=" ".join(one.message_id for one in before.taken))
        happen(again, *((person.name, "Product Added", START + HOUR / 2) for person in people[4:]))
        for hours in (2, 3):
            journey_shop.advance(again, START + hours * HOUR, after)
        assert (after.taken, journey_shop.message_states(again)) == ([], [("sent", "")] * 6)
        assert {state for state, _, _ in journey_shop.standing(again)} == {"finished"}
    assert messages(shop, "abandoned cart")


def test_a_journey_of_a_segment_sends_nothing_again_after_the_runs_that_were_lost_are_repeated(shop, tmp_path):
    shop = with_policy(shop)
    people = PEOPLE[:4]
    add_people(shop, people)
    day = timedelta(days=1)
    rule = {"field": "lifecycle_stage", "op": "==", "value": "lapsed"}
    save_segment(RequestContext.from_name(shop, "Ann", now=START - HOUR), {"name": "leaving", "rule": rule})
    journey_shop.finish_run(shop, START, people)
    journey_shop.start(shop, journey(trigger={"enters": "leaving"}), START + HOUR)
    backup(shop, tmp_path / "b.tar.gz")
    before = ScriptedChannel()
    journey_shop.finish_run(shop, START + day, people, members=people[:2])
    for hours in (1, 3):
        journey_shop.advance(shop, START + day + hours * HOUR, before)
    assert len(before.taken) == 2
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=START + day + 9 * HOUR)
    sent = "\n".join(one.message_id for one in before.taken)
    with closing(Shop.open(tmp_path / "again")) as again:
        missing = f"run --as-of {(START + day).astimezone(ZoneInfo(again.settings.shop.time_zone)):%Y-%m-%dT%H:%M}"
        ann = context(again, START + day + 9 * HOUR)
        with pytest.raises(BadCampaign, match="starts by runs") as refused:
            release_sending(ann, sent=sent)
        assert missing in str(refused.value)
        assert show_sending(again).is_held
        journey_shop.step(again, "paused", at=ann.now)
        assert not release_sending(ann, sent=sent).is_held
        hold_sending(ann, since=START + 2 * HOUR)
        journey_shop.step(again, "resumed", at=ann.now)
        journey_shop.finish_run(again, START + day, people, members=people[:2])
        release_sending(ann, sent=f"{sent}\n{'e' * 32}")
        after = ScriptedChannel()
        for hours in (10, 12):
            journey_shop.advance(again, START + day + hours * HOUR, after)
        assert (after.taken, journey_shop.message_states(again)) == ([], [("sent", "")] * 2)
