"""Senders that are killed at a chosen point: what the next one makes of the messages on their way, by the journal."""

import fcntl
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.shops.campaign_shop import (
    AT,
    NAME,
    Person,
    ScriptedChannel,
    add_people,
    approve,
    customer_of,
    step,
    with_policy,
)

from patron.commands.outreach.messages.send_campaign import send_campaign, summary_of
from patron.commands.outreach.messages.settle_message import settle_message
from patron.engage import handover_journal
from patron.engage.channels.channel import Handover, Outcome
from patron.engage.handover_journal import HandoverJournal, journal_path, read_journal
from patron.engage.message_queue import message_id_of
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadCampaign, WorkspaceError
from patron.storage.outreach.campaign_tables import MESSAGES, RECEIPTS, SUPPRESSIONS
from patron.storage.shop import Shop

ROOT = Path(__file__).parents[3]
COUNT, GROUP = 14, 10
WORDS = "anna@people.example has moved to Rue Anna 12"
ANSWERS = (
    Handover("", Outcome.SENT, "250 2.0.0 queued"),
    Handover("", Outcome.DEFERRED, f"452 4.2.2 full {WORDS}"),
    Handover("", Outcome.REJECTED, f"550 5.1.1 no such user {WORDS}"),
    Handover("", Outcome.REJECTED, f"554 {WORDS}"),
    Handover("", Outcome.UNKNOWN, "no answer"),
    Handover("", Outcome.REJECTED, "HTTP 410", is_gone=True),
)
POINTS = {f"k{int(2 * point)}": point for point in (0.5, 6, 9.5, 10.5, 14)}
BELIEVED_BY_NOBODY = ("missing", "damaged", "held")
KILL_AFTER = {**POINTS, "over": 2.5, "elsewhere": 2.5, "settled": 2.5, **dict.fromkeys(BELIEVED_BY_NOBODY, 2.5)}
KILLED_SENDER = """
import os, sys
import patron.run
from pathlib import Path
from tests.commands.outreach.test_cut_off_messages import KilledChannel, send
for name, kill_after in (argument.split("=") for argument in sys.argv[2:]):
    pid = os.fork()
    if pid == 0:
        send(Path(sys.argv[1]), name, KilledChannel(float(kill_after), Path(sys.argv[1]).parent / f"taken-{name}"))
        os._exit(0)
    os.waitpid(pid, 0)
"""


class KilledChannel(ScriptedChannel):
    """A channel that writes down what it takes, and kills its process: after 2.5 it has taken 3 and answered 2."""

    def __init__(self, kill_after, taken):
        super().__init__()
        self.kill_after = kill_after
        self.file = taken
        self.events = 0.0

    async def hand_over(self, handed):
        for number, one in enumerate(handed):
            with self.file.open("a") as file:
                file.write(f"{one.recipient}\n")
            self.live(0.5)
            yield replace(ANSWERS[number % len(ANSWERS)], message_id=one.message_id)
            self.live(0.5)

    def live(self, share):
        self.events += share
        if self.events >= self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def send(folder, name, channel):
    return send_campaign(RequestContext.from_name(Shop.open(folder), now=AT), name, channel=channel)


def people_of(name):
    return [Person(f"{name}-{number:02d}") for number in range(COUNT)]


def ready(shop, names):
    """The shop with a campaign of each name, each to people of its own."""
    shop = with_policy(shop)
    add_people(shop, [person for name in names for person in people_of(name)])
    for name in names:
        approve(shop, people_of(name), name=name)
    return shop


def kill_senders(shop, kill_after):
    """Start the sender of each campaign, to be killed at a point; returns whom each channel took messages for."""
    args = [f"{name}={point}" for name, point in kill_after.items()]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-c", KILLED_SENDER, str(shop.folder), *args]
    subprocess.run(command, check=True, cwd=ROOT, env=variables)
    return {name: (shop.folder.parent / f"taken-{name}").read_text().split() for name in kill_after}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A workspace in which senders were killed, and whom the channel of each took messages for."""
    folder = tmp_path_factory.mktemp("killed") / "shop"
    Shop.create(folder).close()
    shop = ready(Shop.open(folder), [*KILL_AFTER, "whole"])
    yield shop, kill_senders(shop, KILL_AFTER)
    shop.close()


def rows_of(shop, name):
    """What is on record of each person of a campaign, in the order of sending."""
    of, table = [MESSAGES.c.state, MESSAGES.c.reason, MESSAGES.c.attempt_count], MESSAGES.c
    of += [table.next_attempt_at, table.sent_at, table.contact, table.message_id]
    with shop.store.begin() as connection:
        chosen = sa.select(*of).where(table.campaign == name).order_by(table.customer_id)
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
        receipts = {row["message_id"]: dict(row) for row in connection.execute(sa.select(RECEIPTS)).mappings()}
        suppressed = set(connection.scalars(sa.select(SUPPRESSIONS.c.contact)))
    for row in rows:
        receipt = receipts.get(row.pop("message_id"), {})
        receipt.pop("message_id", None)
        receipt["detail"] = " ".join(re.findall(r"^[\d. HTP]+", receipt.get("detail", ""))).strip()
        row |= {"receipt": receipt, "is_suppressed": row.pop("contact") in suppressed}
    return rows


def in_order(shop, name):
    return [person.address for person in sorted(people_of(name), key=lambda one: customer_of(shop, one))]


def test_only_what_the_channel_had_and_did_not_answer_is_unknown_and_the_rest_is_as_without_the_kill(killed, tmp_path):
    shop, taken = killed
    assert {name: len(some) for name, some in taken.items()} == {n: int(k + 0.5) for n, k in KILL_AFTER.items()}
    send(shop.folder, "whole", KilledChannel(math.inf, tmp_path / "whole"))
    whole = rows_of(shop, "whole")
    for name, point in POINTS.items():
        again, answered = ScriptedChannel(), int(point)
        summary = send(shop.folder, name, again)
        order, rows = in_order(shop, name), rows_of(shop, name)
        assert taken[name] + again.addresses == order
        assert rows[:answered] == whole[:answered]
        assert [(row["state"], row["reason"]) for row in rows[answered : len(taken[name])]] == (
            [("unknown", "cut_off")] if point % 1 else []
        )
        assert {(row["state"], row["attempt_count"]) for row in rows[len(taken[name]) :]} <= {("sent", 1)}
        assert summary.sent_count + summary.unknown_count + summary.failed_count + summary.waiting_count == COUNT
        assert not journal_path(shop.folder, name).exists()
    step(shop, "withdrawn", campaign="over")
    with pytest.raises(BadCampaign):
        send(shop.folder, "over", ScriptedChannel())
    assert [row["state"] for row in rows_of(shop, "over")] == ["sent", "waiting", "unknown", *["skipped"] * 7]


def test_a_journal_that_cannot_be_believed_leaves_unknown_what_was_on_its_way_and_sends_nothing_twice(killed):
    shop, taken = killed

    def damage(path):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"taken", b"token", 1))

    @contextmanager
    def held(path):
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    changes = {"missing": Path.unlink, "damaged": damage}
    for name in BELIEVED_BY_NOBODY:
        path, again = journal_path(shop.folder, name), ScriptedChannel()
        if name in changes:
            changes[name](path)
        with held(path) if name == "held" else nullcontext():
            send(shop.folder, name, again)
        assert again.addresses == in_order(shop, name)[GROUP:]
        assert set(again.addresses).isdisjoint(taken[name])
        assert summary_of(shop, name).unknown_count == GROUP


def test_what_a_machine_left_is_as_its_own_journal_says_also_after_another_one_on_the_same_store(killed, tmp_path):
    shop, taken = killed

    def send_elsewhere(name, channel):
        path, aside = journal_path(shop.folder, name), tmp_path / name
        path.rename(aside)  # why: the other machine has a folder of its own
        send(shop.folder, name, channel)
        aside.rename(path)

    for name, by_person in (("elsewhere", ()), ("settled", (False, True, False, False))):
        other, again = ScriptedChannel(), ScriptedChannel()
        for _ in range(2):
            send_elsewhere(name, other)
        order = in_order(shop, name)
        assert other.addresses == order[GROUP:]
        rows = rows_of(shop, name)[:GROUP]
        assert {(row["state"], row["reason"]) for row in rows} == {("unknown", "cut_off")}
        ids = {one: message_id_of(name, customer_of(shop, Person(one.partition("@")[0])), "file") for one in order}
        for address, is_sent in zip(order[1:], by_person, strict=False):
            settle_message(RequestContext.from_name(shop, now=AT), name, ids[address], is_sent=is_sent)
        send(shop.folder, name, again)
        states = [(row["state"], row["reason"]) for row in rows_of(shop, name)[:GROUP]]
        if not by_person:
            assert again.addresses == order[len(taken[name]) : GROUP]
            assert states == [("sent", ""), ("waiting", "not_taken"), ("unknown", "cut_off"), *[("sent", "")] * 7]
        else:  # why: whoever looked it up knows more than a journal
            assert again.addresses == [one for n, one in enumerate(order[:GROUP]) if n == 1 or n > 2]
            assert states == [("sent", ""), ("sent", ""), ("sent", "settled"), *[("sent", "")] * 7]
        assert not journal_path(shop.folder, name).exists()


def test_a_journal_holds_no_words_and_a_changed_one_says_nothing(shop, tmp_path, monkeypatch):
    ids = [f"{number:032x}" for number in range(len(ANSWERS))]
    journal = HandoverJournal(shop.folder, NAME)
    journal.mark([(one, AT + timedelta(days=1)) for one in ids], AT)
    assert read_journal(shop.folder, NAME) == {}
    for one, answer in zip(ids[:-1], ANSWERS, strict=False):
        journal.take(one)
        journal.answer(replace(answer, message_id=one))
    journal.close(is_done=False)
    path, entries = journal_path(shop.folder, NAME), read_journal(shop.folder, NAME)
    assert [entry.answer and entry.answer.detail for entry in entries.values()] == [
        *("250 2.0.0", "452 4.2.2", "550 5.1.1", "554", "", None)
    ]
    whole = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert not re.search(b"(?i)anna|people|queued|moved| 12\\b", whole)

    def is_believed(content):
        with path.open("r+b") as file:  # why: the same file, as a copy is not believed anyway
            file.truncate()
            file.write(content)
        return read_journal(shop.folder, NAME) != {}

    lines = whole.splitlines(keepends=True)
    assert is_believed(whole)
    changed = [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(len(whole))]
    changed += [b"".join(lines[:n] + lines[n + 1 :]) for n in range(len(lines) - 1)]
    changed += [b"".join([*lines[:n], lines[n], *lines[n:]]) for n in range(len(lines))]
    changed += [b"".join([*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]) for n in range(len(lines) - 1)]
    changed += [whole[:n] for n in range(len(whole)) if whole[n - 1 : n] != b"\n"]
    changed += [whole + b"\0" * 100, whole + b"taken", whole + whole, b"\n", whole + b"x" * 10_000_000]
    assert [content[:200] for content in changed if is_believed(content)] == []
    assert is_believed(whole)
    for boot in ("another", "", "\xff"):
        (tmp_path / "boot").write_text(boot, "latin-1")
        with monkeypatch.context() as patch:
            patch.setattr(handover_journal, "BOOT_ID", tmp_path / "boot")
            assert read_journal(shop.folder, NAME) == {}
    assert is_believed(whole)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert read_journal(shop.folder, NAME) == {}
    path.unlink()
    shutil.copy(tmp_path / "moved", path)
    assert read_journal(shop.folder, NAME) == {}


@pytest.mark.parametrize("lines", [0, 1, 3, 5])
def test_a_journal_that_cannot_be_written_on_is_gone(shop, lines):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = HandoverJournal(shop.folder, NAME)
    for number in range(lines):
        journal.mark([(f"{number:032x}", AT)], AT)
    try:
        size = journal_path(shop.folder, NAME).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limit[1]))
        journal.mark([("f" * 32, AT)], AT)
        journal.take("f" * 32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not journal_path(shop.folder, NAME).exists()
    journal.close(is_done=False)
    assert read_journal(shop.folder, NAME) == {}


def test_what_lies_in_the_place_of_a_journal_is_named_and_nothing_is_sent(shop):
    shop, channel = ready(shop, ["k"]), ScriptedChannel()
    path = journal_path(shop.folder, "k")
    path.mkdir()
    with pytest.raises(WorkspaceError) as refusal:
        send(shop.folder, "k", channel)
    assert (refusal.value.what.code, refusal.value.where) == ("cannot_be_written", str(path))
    path.rmdir()
    os.mkfifo(path)
    assert read_journal(shop.folder, "k") == {}
    assert channel.addresses == []
    assert send(shop.folder, "k", channel).sent_count == COUNT
    assert not path.exists()
