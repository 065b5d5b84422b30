"""A real `patron campaign send` to a real SMTP server: killed at any time, and with a provider that fails."""

import json
import random
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


def test_a_sender_that_is_killed_three_times_sends_nothing_twice_and_loses_nothing(shop, server, tmp_path):
    people = [Person(f"p{n:03d}") for n in range(240)]
    shop = ready(shop, server, people, connections=2)
    commands, rng = Commands(tmp_path), random.Random(16)  # noqa: S311 - moments, no secret
    send = ("campaign", "send", NAME, "--due", "--workspace", str(shop.folder))
    for third in range(3):
        moment = third * 60 + rng.randrange(60)
        commands.kill(lambda moment=moment: len(server.messages) > moment, *send)
    code = commands.run(*send)
    commands.close()
    summary, taken = summary_of(shop, NAME), server.recipients()
    states = messages(shop)
    sent = {person.address for person in people if states[customer_of(shop, person)][0] == "sent"}
    assert len(taken) == len(set(taken))
    assert sent <= set(taken)
    assert summary.sent_count + summary.unknown_count == len(people)
    assert summary.sent_count >= 240 - 3 * 60
    assert code == (3 if summary.unknown_count else 0)


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
