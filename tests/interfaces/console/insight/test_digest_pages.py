"""The mail digest as its reader sets it up: subscribe, the link in the mailbox, one click to end it, who sees what."""

import quopri
import re
from datetime import UTC, datetime
from email import message_from_bytes

import httpx
import pytest
from campaign_shop import with_mail_server

from digest_readers import join, subscribe, token_of, with_address
from mail_server import mail_server
from patron.commands.access.sign_in_limits import OF_CONFIRMATIONS
from patron.commands.data.manage_webhooks import add_webhook, disable_for
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import Browser, create_session, csrf_token
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.access.access_control import SESSION_COOKIE
from patron.schema.access.access_rights import VISITOR, Role
from patron.storage.insight.digest_tables import DIGEST_DELIVERIES
from patron.storage.insight.digests import digest_subscription
from patron.storage.store.store import upsert

NOW = datetime.now(UTC)
FORM = {"part": ["today", "brief"], "rhythm": "weekly"}


class Person:
    """Somebody who signed in, and their browser."""

    def __init__(self, at, shop, user_id):
        with shop.store.begin() as connection:
            at_sign_in = datetime.now(UTC)  # why: NOW is long past where the tests before took long
            secret = create_session(connection, user_id, Browser("", "test"), has_second_factor=False, at=at_sign_in)
        self.user_id, self.csrf = user_id, csrf_token(secret)
        self.client = httpx.Client(base_url=at, timeout=60, headers={"cookie": f"{SESSION_COOKIE}={secret}"})

    def post(self, path, **form):
        return self.client.post(path, data={**form, "csrf": self.csrf})

    def get(self, path):
        return self.client.get(path)


@pytest.fixture
def desk(shop):
    """A served shop, its mail server, and what signs somebody in with roles."""
    people = []
    with mail_server() as server:
        opened = with_mail_server(with_address(shop), server.port)
        with served(opened, visitor=None) as at:

            def person(*roles):
                people.append(Person(at, opened, join(opened, f"p{len(people)}", *roles)))
                return people[-1]

            yield opened, server, person
            for one in people:
                one.client.close()
        opened.close()


def subscription(shop, user_id):
    with shop.store.begin() as connection:
        return digest_subscription(connection, user_id)


def test_somebody_subscribes_confirms_in_the_mailbox_and_ends_it_with_one_click(desk):
    shop, server, person = desk
    ann = person(Role.VIEWER)
    assert 'value="questions" checked' in ann.get("/account/digest").text
    assert ann.client.post("/account/digest", data=FORM).status_code == 403, "without its token"
    assert ann.post("/account/digest", part=[], rhythm="weekly").status_code == 422
    answer = ann.post("/account/digest", **FORM)
    assert answer.headers["location"] == "/account/digest?note=mailed"
    assert "A link is on its way" in ann.get(answer.headers["location"]).text
    (mail,) = (message_from_bytes(message) for message in server.messages)
    text = quopri.decodestring(mail.get_payload()).decode()
    path = re.search(r"https://crm.example.com(/digest/\S+)", text)[1]
    with httpx.Client(base_url=ann.client.base_url, timeout=60) as stranger:
        assert "Get the mail digest?" in stranger.get(path).text
        assert subscription(shop, ann.user_id).confirmed_at is None, "scanners of mail open links"
        assert "Your address is confirmed" in stranger.post(path, data={"confirm": "1"}).text
        assert subscription(shop, ann.user_id).confirmed_at
        assert stranger.get("/digest/none").status_code == stranger.post("/digest/none").status_code == 404
        parts = {"List-Unsubscribe": (None, "One-Click")}
        assert "You are unsubscribed" in stranger.post(path, files=parts).text
        assert "You are unsubscribed" in stranger.get(path).text
    assert subscription(shop, ann.user_id) is None
    assert "Off" in ann.get("/account").text


def test_who_asks_for_the_link_again_and_again_is_told_when_to_try_again(desk):
    _, server, person = desk
    ann = person(Role.VIEWER)
    statuses = [ann.post("/account/digest", **FORM).status_code for _ in range(OF_CONFIRMATIONS.count)]
    assert set(statuses) == {303}
    refused = ann.post("/account/digest", **FORM)
    assert refused.status_code == 429
    assert "Use the newest one, or try again in 60 minutes." in refused.text
    assert "60 分钟后重试" in ann.post("/account/digest?lang=zh_CN", **FORM).text
    assert len(server.messages) == OF_CONFIRMATIONS.count


def test_where_links_would_lead_to_this_machine_the_page_says_what_to_set(shop):
    with mail_server() as server:
        opened = with_mail_server(shop, server.port)
        with served(opened, visitor=None) as at:
            ann = Person(at, opened, join(opened, "ann"))
            page, refused = ann.get("/account/digest").text, ann.post("/account/digest", **FORM)
            assert "An administrator sets public_url" in page
            assert (refused.status_code, "An administrator sets public_url" in refused.text) == (422, True)
            assert "Choose one part" not in refused.text
            assert ann.get("/api/account/digest").json()["can_send"] is False
            ann.client.close()
        assert server.messages == []
        opened.close()


def test_the_page_and_its_twin_show_ones_own_digest_only(desk):
    shop, _, person = desk
    ann, ben = person(Role.VIEWER), person(Role.SERVICE_AGENT)
    subscribe(shop, ann.user_id, "today")
    mine, other = ann.get("/api/account/digest").json(), ben.get("/api/account/digest").json()
    assert (mine["digest"]["subscription"]["parts"], mine["readable"]) == (["today"], ["today", "questions", "brief"])
    assert (other["digest"]["subscription"], other["readable"], other["sections"]) == (None, [], [])
    assert "reads nothing that a digest holds" in ben.get("/account/digest").text
    assert ben.post("/account/digest", **FORM).status_code == 422
    assert ann.post("/account/digest/end").status_code == 303
    assert subscription(shop, ann.user_id) is None
    with served(shop, visitor=VISITOR) as at:
        assert httpx.get(f"{at}/api/account/digest", timeout=60).status_code == 403


def test_what_did_not_arrive_is_seen_by_its_reader_and_by_who_administers(desk):
    shop, _, person = desk
    ann, ada, max_ = person(Role.VIEWER), person(Role.ADMIN), person(Role.MARKETER)
    subscribe(shop, ann.user_id, "today", at=NOW)
    row = {"user_id": ann.user_id, "run_id": "r", "run_finished_at": NOW, "state": "failed", "attempt_count": 6}
    row |= {"attempted_at": NOW, "next_attempt_at": None, "answer": "550 5.1.1 no such mailbox"}
    added = add_webhook(RequestContext.from_name(shop, "Ada", now=NOW), "https://192.0.2.1/patron", ["run.finished"])
    disable_for(RequestContext.from_name(shop, "patron serve", now=NOW), added.endpoint_id, "gone")
    with shop.store.begin() as connection:
        upsert(connection, DIGEST_DELIVERIES, [row])
    assert "may not have reached you" in ann.get("/").text
    page = ann.get("/account/digest?lang=zh_CN").text
    assert "no such mailbox" in page
    assert "这封摘要可能未送达" in page, "what comes next is said, too"
    first = ada.get("/").text
    assert "mail digest of 1 person" in first
    assert "its webhook failed" in first
    assert "Failed" in ada.get(f"/settings/users/{ann.user_id}").text
    assert "mail digest" not in max_.get("/").text


def test_a_link_of_somebody_elses_server_or_of_nobody_is_a_page_in_the_readers_language(desk):
    shop, _, person = desk
    ann = person(Role.VIEWER)
    with httpx.Client(base_url=ann.client.base_url, timeout=60) as stranger:
        assert "链接无效" in stranger.get("/digest/none", headers={"accept-language": "zh"}).text
        page = stranger.get(f"/digest/{token_of(shop, ann.user_id)}")
    assert "You are unsubscribed" in page.text
    assert page.headers["x-robots-tag"] == "noindex"


def test_a_link_that_cannot_be_looked_up_now_changes_nothing_and_says_so_without_our_inside(desk, caplog):
    shop, _, person = desk
    ann = person(Role.VIEWER)
    subscribe(shop, ann.user_id)
    path, key = f"/digest/{token_of(shop, ann.user_id)}", shop.master_key_place.file
    away = key.rename(key.with_suffix(".away"))
    with httpx.Client(base_url=ann.client.base_url, timeout=60, headers={"accept-language": "zh"}) as stranger:
        answers = [stranger.get(path), stranger.post(path, data={"List-Unsubscribe": "One-Click"})]
    away.rename(key)
    assert [answer.status_code for answer in answers] == [500, 500]
    assert all("操作未成功" in answer.text and str(key) not in answer.text for answer in answers)
    assert "the link of a digest failed" in caplog.text
    assert subscription(shop, ann.user_id).confirmed_at
