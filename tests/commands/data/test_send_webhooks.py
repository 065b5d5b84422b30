"""Webhooks against a receiver on this machine: signed, tried again, at least once, and never where they must not go."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa

from patron.answers.insight.today import today
from patron.commands.data.manage_webhooks import (
    add_webhook,
    change_webhook,
    delete_webhook,
    enable_webhook,
    rotate_webhook_secret,
)
from patron.commands.data.report_webhook_events import report_webhook_events
from patron.commands.data.send_webhooks import PAUSES, resend_webhook, send_test_event, send_webhooks, webhook_body
from patron.commands.outreach.messages.hold_sending import hold_sending, release_sending
from patron.engage.providers.standard_webhooks import is_signed, keys_of
from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.schema.data.webhook_events import EVENT_NAMES
from patron.schema.errors import BadWebhook, NotFound, SendingHeld
from patron.storage.data.webhook_tables import WEBHOOK_CUSTOMERS, WEBHOOK_ENDPOINTS
from patron.storage.data.webhooks import WebhookMessage, deliveries_of, webhook_endpoint, write_messages
from patron.storage.shop import Shop
from patron.storage.store.store import BY_CUSTOMER, RUNS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADMIN = Actor("Ada (user 0a1b2c3d4e5f)", rights_of_user([Role.ADMIN]), user_id="0a1b2c3d4e5f")


class Receiver:
    """A server on this machine that keeps what arrives, and answers as it is told."""

    def __init__(self):
        self.requests, self.status, self.on_request = [], 204, lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append(({name.lower(): text for name, text in self.headers.items()}, body))
                receiver.on_request()
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/patron"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Clock:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def wait(self, **time):
        self.now += timedelta(**time)


@pytest.fixture
def receiver():
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def open_shop(shop):
    """A workspace that allows this machine as a receiver."""
    folder = shop.folder
    settings = folder / "patron.toml"
    settings.write_text(settings.read_text("utf-8") + '\n[webhooks]\nlocal_hosts = ["127.0.0.1"]\n', "utf-8")
    opened = Shop.open(folder)
    yield opened
    opened.close()


def finish_run(shop, run_id, at):
    row = {"run_id": run_id, "as_of": at, "finished_at": at, "seconds": 1.0, "seed": 1, "policy_version": "p"}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(**row, table_versions={}, summary={}))


def test_what_happened_arrives_once_signed_and_without_a_person(open_shop, receiver):
    clock = Clock()
    added = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.finished"])
    finish_run(open_shop, "2026-02-28", START - timedelta(days=1))
    finish_run(open_shop, "2026-03-01", START + timedelta(minutes=1))
    clock.wait(minutes=2)
    assert send_webhooks(open_shop, clock=clock) is None
    send_webhooks(open_shop, clock=clock)
    ((headers, body),) = receiver.requests
    assert json.loads(body) == {
        "type": "run.finished",
        "timestamp": "2026-03-01T12:01:00+00:00",
        "data": {"run_id": "2026-03-01", "as_of": "2026-03-01T12:01:00+00:00"},
    }
    assert is_signed(keys_of(added.secret), headers, body, now=clock.now)
    assert not is_signed(keys_of(added.secret), headers, body + b" ", now=clock.now)
    (delivery,) = deliveries_of(open_shop.store, added.endpoint_id, limit=9)
    assert (delivery.state, delivery.attempt_count, delivery.answer) == ("delivered", 1, "HTTP 204")


def test_a_hold_on_sending_stops_deliveries_within_a_round_and_those_by_hand_but_no_test(open_shop, receiver):
    clock, ada = Clock(), RequestContext.from_name(open_shop, ADMIN.name, now=START)
    added = add_webhook(ada, receiver.url, ["run.finished"])
    for day in (1, 2, 3):
        finish_run(open_shop, f"2026-03-0{day}", START + timedelta(minutes=day))
    clock.wait(minutes=5)
    receiver.on_request = lambda: hold_sending(ada, since=START)
    with pytest.raises(SendingHeld):
        send_webhooks(open_shop, clock=clock)
    assert len(receiver.requests) == 1
    deliveries = deliveries_of(open_shop.store, added.endpoint_id, limit=9)
    assert sorted(one.state for one in deliveries) == ["delivered", "waiting", "waiting"]
    for delivery in deliveries:
        with pytest.raises(SendingHeld):
            resend_webhook(open_shop, added.endpoint_id, delivery.message_id, clock=clock)
    assert deliveries_of(open_shop.store, added.endpoint_id, limit=9) == deliveries
    test = send_test_event(open_shop, added.endpoint_id, clock=clock)
    assert resend_webhook(open_shop, added.endpoint_id, test.message_id, clock=clock).state == "delivered"
    assert len(receiver.requests) == 3
    receiver.on_request = lambda: None
    release_sending(ada, is_nothing_sent=True)
    send_webhooks(open_shop, clock=clock)
    assert len(receiver.requests) == 5


def test_a_failed_delivery_is_tried_again_under_the_same_id_until_it_arrives(open_shop, receiver):
    clock = Clock()
    added = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.finished"])
    finish_run(open_shop, "2026-03-01", START)
    receiver.status = 500
    due_at = send_webhooks(open_shop, clock=clock)
    assert due_at == START + PAUSES[0]
    send_webhooks(open_shop, clock=clock)
    assert len(receiver.requests) == 1, "before its time nothing is tried again"
    clock.wait(seconds=5)
    receiver.status = 200
    send_webhooks(open_shop, clock=clock)
    assert [headers["webhook-id"] for headers, _ in receiver.requests] == [receiver.requests[0][0]["webhook-id"]] * 2
    assert webhook_endpoint(open_shop.store, added.endpoint_id).failing_since is None


def test_an_endpoint_that_fails_for_days_is_disabled_and_today_says_so(open_shop, receiver):
    clock = Clock()
    added = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.finished"])
    receiver.status = 302
    for day in range(7):
        finish_run(open_shop, f"2026-03-0{day + 1}", clock.now)
        send_webhooks(open_shop, clock=clock)
        clock.wait(days=1)
    endpoint = webhook_endpoint(open_shop.store, added.endpoint_id)
    assert endpoint.disabled_why == "failures"
    assert endpoint.disabled_at == START + timedelta(days=5)
    (item,) = [one for one in today(open_shop, ADMIN, None, now=clock.now).items if one.kind == "webhook_disabled"]
    assert item.link == f"/settings/webhooks/{added.endpoint_id}"
    count = len(receiver.requests)
    send_webhooks(open_shop, clock=clock)
    assert len(receiver.requests) == count
    receiver.status = 204
    enable_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=clock.now), added.endpoint_id)
    send_webhooks(open_shop, clock=clock)
    assert len(receiver.requests) > count, "what still waits is sent"


def test_an_endpoint_that_is_gone_is_disabled_at_once(open_shop, receiver):
    added = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.finished"])
    finish_run(open_shop, "2026-03-01", START)
    receiver.status = 410
    send_webhooks(open_shop, clock=Clock())
    assert webhook_endpoint(open_shop.store, added.endpoint_id).disabled_why == "gone"


def test_a_message_is_sent_once_more_by_hand_and_a_test_says_what_was_answered(open_shop, receiver):
    clock = Clock()
    added = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.failed"])
    receiver.status = 503
    test = send_test_event(open_shop, added.endpoint_id, clock=clock)
    assert (test.event, test.state, test.answer) == ("webhook.test", "failed", "HTTP 503")
    receiver.status = 204
    again = resend_webhook(open_shop, added.endpoint_id, test.message_id, clock=clock)
    assert (again.state, again.attempt_count) == ("delivered", 2)
    with pytest.raises(NotFound):
        resend_webhook(open_shop, added.endpoint_id, "msg_none", clock=clock)


def test_after_a_rotation_both_secrets_sign_until_the_overlap_ends(open_shop, receiver):
    clock = Clock()
    first = add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), receiver.url, ["run.failed"])
    second = rotate_webhook_secret(
        RequestContext.from_name(open_shop, ADMIN.name, now=START), first.endpoint_id, overlap_hours=1
    )
    send_test_event(open_shop, first.endpoint_id, clock=clock)
    clock.wait(hours=1)
    send_test_event(open_shop, first.endpoint_id, clock=clock)
    signed = [
        [is_signed(keys_of(one.secret), headers, body, now=at) for one in (first, second)]
        for (headers, body), at in zip(receiver.requests, (START, clock.now), strict=True)
    ]
    assert signed == [[True, True], [False, True]]


@pytest.mark.parametrize("url", ["http://shop.example/x", "ftp://shop.example", "https://u:p@shop.example", "https://"])
def test_an_address_that_is_not_safe_is_refused(open_shop, url):
    with pytest.raises(BadWebhook):
        add_webhook(RequestContext.from_name(open_shop, ADMIN.name, now=START), url, ["run.failed"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "169.254.169.254"])
def test_without_leave_nothing_reaches_this_machine_or_its_network(shop, host):
    added = add_webhook(RequestContext.from_name(shop, ADMIN.name, now=START), f"https://{host}/x", ["run.failed"])
    delivery = send_test_event(shop, added.endpoint_id, clock=Clock())
    assert (delivery.state, "not public" in delivery.answer) == ("failed", True)


def test_kinds_that_do_not_exist_are_refused(shop):
    with pytest.raises(BadWebhook, match=r"run\.finished"):
        add_webhook(RequestContext.from_name(shop, ADMIN.name, now=START), "https://shop.example", ["run.finish"])


def test_secrets_are_not_in_the_store_in_clear_and_go_with_the_endpoint(shop):
    added = add_webhook(RequestContext.from_name(shop, ADMIN.name, now=START), "https://shop.example", EVENT_NAMES)
    with shop.store.begin() as connection:
        stored = connection.scalar(sa.select(WEBHOOK_ENDPOINTS.c.secret))
    assert added.secret.encode() not in stored
    delete_webhook(RequestContext.from_name(shop, ADMIN.name, now=START), added.endpoint_id)
    with pytest.raises(NotFound):
        webhook_endpoint(shop.store, added.endpoint_id)


def test_who_was_erased_is_in_no_message_that_is_sent_later(shop):
    message = WebhookMessage("msg_1", "segment.entered", START, {"segment": "vip"}, ("c1", "c2"))
    with shop.store.begin() as connection:
        write_messages(connection, [message], [], START)
        assert WEBHOOK_CUSTOMERS in BY_CUSTOMER, "an erasure deletes its rows"
        connection.execute(sa.delete(WEBHOOK_CUSTOMERS).where(WEBHOOK_CUSTOMERS.c.customer_id == "c1"))
    assert json.loads(webhook_body(shop, "msg_1"))["data"] == {"segment": "vip", "customer_ids": ["c2"]}


def test_without_an_endpoint_nothing_is_written(shop):
    finish_run(shop, "2026-03-01", START)
    assert report_webhook_events(shop, now=START) == 0


def test_the_audit_log_says_to_which_host_events_go_and_nothing_secret_of_its_address(shop):
    added = add_webhook(
        RequestContext.from_name(shop, ADMIN.name, now=START), "https://one.example/t/secret?key=2", ["run.failed"]
    )
    context = RequestContext.from_name(shop, ADMIN.name, now=START)
    change_webhook(context, added.endpoint_id, url="https://two.example/t/secret", events=["run.failed"])
    for action, host in (("webhook added", "one.example"), ("webhook changed", "two.example")):
        [entry] = find_entries(shop, AuditQuery(action=action), 5)
        assert entry.details == {"webhook": added.endpoint_id, "host": host, "events": ["run.failed"]}
