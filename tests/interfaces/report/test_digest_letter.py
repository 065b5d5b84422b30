"""What the mail digest says: to each reader what is theirs, about no customer by name; and a process that dies."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest
from campaign_shop import with_mail_server
from known_people import TEAM, add_known_people

from digest_readers import finish_last_run, join, subscribe
from mail_server import mail_server
from patron.commands.access.manage_users import save_team
from patron.commands.insight.saved_questions import QuestionDraft, pin_question, save_question
from patron.commands.insight.send_digests import preview_digest, send_digests
from patron.commands.offers.propose_policy import propose_policy
from patron.govern.access.request_context import RequestContext
from patron.interfaces.report.digest import COLUMNS
from patron.interfaces.report.digest_letter import digest_composer, facts_of_run
from patron.schema.access.access_rights import Role
from patron.storage.insight.digests import digest_deliveries
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
ADDRESS = "https://crm.example.com"
HOSTILE = "<b>Who</b> is & where"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def people(made_shop, tmp_path_factory):
    known = add_known_people(made_shop, tmp_path_factory.mktemp("digest") / "w")
    path = known.shop.folder / SETTINGS_FILE
    path.write_text(f'{path.read_text("utf-8")}\n[access]\npublic_url = "{ADDRESS}"\n', "utf-8")
    shop = Shop.open(known.shop.folder)
    save_team(RequestContext.from_name(shop, "Ada", now=NOW), "West", segment=TEAM)
    sql = "select customer_id, count(*) as orders from orders group by customer_id order by customer_id"
    wide = f"select {', '.join(f'{n} as c{n}' for n in range(COLUMNS + 3))}"
    for name, text in ((HOSTILE, sql), ("Broken", "select nothing from nowhere"), ("Wide", wide)):
        question_id = save_question(RequestContext.from_name(shop, "Ada", now=NOW), QuestionDraft(name, {"sql": text}))
        pin_question(RequestContext.from_name(shop, "Ada", now=NOW), question_id, is_pinned=True)
    changed = (shop.folder / POLICY_FILE).read_text("utf-8").replace("valid_days = 30", "valid_days = 31")
    propose_policy(RequestContext.from_name(shop, "Bea", now=NOW), changed, note="Because of Xanthippe Quixley")
    yield known, shop
    known.shop.close()
    shop.close()


@pytest.fixture(scope="module")
def write(people):
    """Writes the digest for a user."""
    _, shop = people
    with facts_of_run(shop) as facts:
        yield lambda user_id: preview_digest(shop, user_id, compose=digest_composer(facts), now=NOW)


@pytest.mark.parametrize(("locale", "subject"), [("en", "digest of 1 Oct 2017"), ("zh_CN", "2017年10月1日 摘要")])
def test_a_digest_holds_what_the_console_shows_and_says_of_nobody_who_they_are(people, write, locale, subject):
    known, shop = people
    reader = join(shop, f"ada-{locale}".lower(), Role.ADMIN, locale=locale)
    letter = write(reader)
    both = letter.text + letter.html
    assert subject in letter.subject
    for person in (known.visible, known.hidden):
        assert [secret for secret in person.secrets if secret in both] == []
    for link in ("/brief", "/explore", "/watch-list?show=all", "/offers/proposals/1", "/account/digest"):
        assert f"{ADDRESS}{link}" in letter.text
        assert f'href="{ADDRESS}{link}"' in letter.html
    assert letter.one_click_url.startswith(f"{ADDRESS}/digest/")
    assert letter.one_click_url in letter.text
    assert HOSTILE in letter.text
    assert "&lt;b&gt;Who&lt;/b&gt; is &amp; where" in letter.html
    assert "<b>" not in letter.html
    assert "Bea" not in both, "who proposed what is read in the console"


def test_the_newest_months_are_what_a_digest_shows_of_a_question_over_time(people, write):
    _, shop = people
    text = write(join(shop, "max", Role.MARKETER)).text
    months = [line.split("|")[0].strip() for line in text.splitlines() if line.startswith("  ") and " 2017 |" in line]
    assert months[:3] == ["Sep 2017", "Aug 2017", "Jul 2017"]


def test_a_question_with_more_columns_than_a_letter_holds_says_how_many_are_left_out(people, write):
    _, shop = people
    text = write(join(shop, "wim", Role.MARKETER)).text
    wide = text.partition("Wide\n")[2].partition("\n\n")[0]
    assert wide.splitlines()[:3] == ["  C0 | C1 | C2 | C3", "  0 | 1 | 2 | 3", "  And 3 more columns."]
    narrow = text.partition(f"{HOSTILE}\n")[2].partition("\n\n")[0]
    assert "more column" not in narrow
    chinese = write(join(shop, "wei", Role.MARKETER, locale="zh_CN")).text
    assert "另有 3 列未显示。" in chinese


def test_a_team_of_a_segment_reads_nothing_that_counts_or_names_others(people, write):
    known, shop = people
    free, member = join(shop, "vic", Role.ANALYST), join(shop, "tim", Role.ANALYST, team="West")
    texts = {one: write(one).text + write(one).html for one in (free, member)}
    assert [hidden_id for hidden_id in known.hidden_ids if hidden_id in texts[free]], (
        "a pinned question lists customers"
    )
    assert [hidden_id for hidden_id in known.hidden_ids if hidden_id in texts[member]] == []
    for part in ("/brief", "/explore", "/watch-list", HOSTILE):
        assert part in texts[free]
        assert part not in texts[member]


def test_the_command_line_shows_what_would_be_sent(people, patron):
    _, shop = people
    words = ("--workspace", str(shop.folder))
    assert "Nobody has subscribed" in patron("digests", "list", *words).out
    subscribe(shop, join(shop, "cleo"), "brief", at=NOW, is_confirmed=False)
    assert "waits for the link" in patron("digests", "list", *words).out
    shown = patron("digests", "preview", "cleo@example.com", *words).out
    assert shown.startswith("Subject: ")
    assert f"{ADDRESS}/brief" in shown or f"{ADDRESS}/overview" in shown
    assert HOSTILE not in shown
    assert patron("digests", "preview", "cleo@example.com", "--html", *words).out.startswith("<!doctype html>")
    join(shop, "dora", Role.SERVICE_AGENT)
    assert "may read nothing" in patron("digests", "preview", "dora@example.com", *words).out
    assert "no such user" in patron("digests", "preview", "nobody", *words).message


def test_a_process_that_is_killed_while_it_sends_leaves_no_second_digest(people):
    _, shop = people
    now = datetime.now(UTC)
    with mail_server() as server:
        opened = with_mail_server(shop, server.port)
        reader = join(opened, "eve")
        subscribe(opened, reader, "today", at=now - timedelta(hours=1))
        finish_last_run(opened, now)
        server.at_the_end["eve@example.com"], server.late_seconds = "late", PATIENCE_SECONDS
        command = [sys.executable, "-m", "patron.interfaces.cli.insight.due_digests", str(opened.folder)]
        process = subprocess.Popen(command)
        until = time.monotonic() + PATIENCE_SECONDS
        digests = []
        while not digests and time.monotonic() < until and process.poll() is None:
            digests = [message for message in server.messages if message_from_bytes(message).is_multipart()]
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        assert len(digests) == 1
        server.at_the_end.clear()
        with facts_of_run(opened) as facts:
            for _ in range(2):
                send_digests(opened, compose=digest_composer(facts), clock=lambda: datetime.now(UTC))
        with opened.store.begin() as connection:
            assert [delivery.state for delivery in digest_deliveries(connection, reader)] == ["unknown"]
        assert len([message for message in server.messages if message_from_bytes(message).is_multipart()]) == 1
        opened.close()
