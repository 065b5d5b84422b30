"""A real `patron campaign send` to a real SMTP server: killed at any time, and with a provider that fails."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.mail_server import mail_server
from tests.support.patron_command import run_patron
from tests.support.patron_processes import Commands
from tests.support.shops.campaign_shop import (
    NAME,
    Person,
    add_people,
    approve,
    customer_of,
    messages,
    with_mail_server,
    with_policy,
)

from patron.commands.outreach.messages.send_campaign import summary_of
from patron.commands.outreach.messages.settle_message import unknown_messages
from patron.storage.outreach.campaign_file import CAMPAIGN

NOW = datetime.now(UTC)
WINDOW = {
    "start": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%S}",
    "end": f"{NOW + timedelta(days=9):%Y-%m-%dT%H:%M:%S}",
}


@pytest.fixture
def server():
    with mail_server() as server:
        yield server


def ready(shop, server, people, **settings):
    shop = with_mail_server(with_policy(shop), server.port, **settings)
    add_people(shop, people)
    approve(shop, people, channel="email", **WINDOW)
    return shop


def test_two_senders_and_two_kills_leave_at_most_one_unknown_a_connection_and_write_to_nobody_twice(
    shop, server, tmp_path
):
    connections, kills, rng = 2, 2, random.Random(16)  # noqa: S311 - moments, no secret
    server.answers = {"gone": "550 5.1.1 no such user"}
    people = {
        name: [Person(f"{'gone' if number % 15 == 0 else 'some'}-{name}-{number:03d}") for number in range(150)]
        for name in ("spring", "autumn")
    }
    shop = with_mail_server(with_policy(shop), server.port, connections=connections)
    add_people(shop, [person for some in people.values() for person in some])
    for name, some in people.items():
        approve(shop, some, name=name, channel="email", **WINDOW)
        (tmp_path / name).mkdir()

    def arrived(name):
        return sum(f"-{name}-" in address for address in server.recipients())

    def send(name):
        commands, moment = Commands(tmp_path / name), rng.randrange(10, 120)
        args = ("campaign", "send", name, "--due", "--workspace", str(shop.folder))
        try:
            commands.kill(lambda: arrived(name) >= moment, *args)
            return commands.run(*args)
        finally:
            commands.close()

    with ThreadPoolExecutor(2) as senders:
        codes = dict(zip(people, senders.map(send, people), strict=True))
    summaries, taken = {name: summary_of(shop, name) for name in people}, server.recipients()
    assert len(taken) == len(set(taken))
    for name, summary in summaries.items():
        states = messages(shop, name)
        reached = {person.address for person in people[name] if states[customer_of(shop, person)][0] == "sent"}
        unknown = {person.address for person in people[name] if states[customer_of(shop, person)][0] == "unknown"}
        assert reached <= set(taken)
        assert {one for one in taken if f"-{name}-" in one} <= reached | unknown
        assert summary.sent_count + summary.failed_count + summary.unknown_count == 150
        assert summary.failed_count + sum(one.startswith("gone") for one in unknown) == 10
        assert codes[name] == (3 if unknown else 0)
    assert sum(summary.unknown_count for summary in summaries.values()) <= kills * connections


def test_each_way_that_a_provider_fails_leaves_a_clear_state(shop, server):
    kinds = {
        "good": ("sent", ""),
        "full": ("waiting", "not_taken"),
        "gone": ("failed", "rejected"),
        "spam": ("failed", "rejected"),
        "busy": ("waiting", "not_taken"),
        "lost": ("unknown", "answer_lost"),
        "slow": ("unknown", "answer_lost"),
        "cut": ("waiting", "not_taken"),
    }
    server.answers = {"full": "452 4.2.2 full", "gone": "550 5.1.1 no such user", "cut": "drop"}
    server.at_the_end = {"spam": "554 5.7.1 refused", "busy": "451 4.3.0 later", "lost": "drop", "slow": "late"}
    people = {name: Person(f"{name}-x") for name in kinds}
    shop = ready(shop, server, people.values(), connections=1, timeout_seconds=0.5)
    result = run_patron("campaign", "send", NAME, "--due", "--json", "--workspace", shop.folder)
    states = messages(shop)
    assert {name: states[customer_of(shop, one)] for name, one in people.items()} == kinds
    assert (result.code, json.loads(result.out)["unknown_count"]) == (3, 2)
    taken = sorted(server.recipients())
    run_patron("campaign", "send", NAME, "--due", "--workspace", shop.folder)
    assert sorted(server.recipients()) == taken
    settled = sorted(unknown_messages(shop, NAME))
    for one in settled:
        args = ("--message", one, "--sent", "--json", "--workspace", shop.folder)
        left = run_patron("campaign", "settle", NAME, *args).json["unknown"]
    assert left == []
    assert run_patron("campaign", "send", NAME, "--due", "--workspace", shop.folder).code == 0


def test_a_server_that_is_not_there_is_a_refusal_and_loses_nothing(shop):
    with mail_server() as server:
        pass
    people = [Person("ann"), Person("ben")]
    shop = ready(shop, server, people)
    result = run_patron("campaign", "send", NAME, "--due", "--workspace", shop.folder)
    assert result.code == 1
    assert "the SMTP server is not ready" in result.message
    assert CAMPAIGN.saved_in(shop.store, NAME).state == "running"
    assert summary_of(shop, NAME).waiting_count == 2


def test_a_dry_run_and_a_campaign_of_nobody_work_by_the_command_line(shop, server):
    shop = ready(shop, server, [Person("ann"), Person("nay", consent=False)])
    args = ("--workspace", shop.folder, "--json")
    dry = run_patron("campaign", "send", NAME, "--dry-run", *args)
    assert dry.json["by_reason"] == {"due": 1, "no_consent": 1}
    assert server.messages == []
    sent = run_patron("campaign", "send", NAME, *args)
    assert (sent.code, sent.json["state"], sent.json["sent_count"], len(server.messages)) == (0, "ended", 1, 1)
