"""The server sends digests after a run without anybody asking, and looks again when one is tried again."""

import time
from datetime import UTC, datetime, timedelta

from tests.support.digest_readers import MONDAY, finish_run, join, subscribe, with_address
from tests.support.mail_server import mail_server
from tests.support.shops.campaign_shop import with_mail_server

from patron.service.digest_sender import DigestSender
from patron.storage.insight.digest_tables import DIGEST_DELIVERIES
from patron.storage.insight.digests import digest_deliveries
from patron.storage.store.store import upsert

HOUR = timedelta(hours=1)


def test_it_is_due_once_a_run_for_somebody_who_confirmed_and_when_an_attempt_is(shop):
    with mail_server() as server:
        shop = with_mail_server(with_address(shop), server.port)
        sender = DigestSender(shop, lambda: MONDAY)
        finish_run(shop, MONDAY)
        ann = join(shop, "ann")
        subscribe(shop, ann, is_confirmed=False)
        assert not sender.is_due(MONDAY)
        subscribe(shop, ann)
        assert (sender.is_due(MONDAY), sender.is_due(MONDAY)) == (True, False)
        finish_run(shop, MONDAY + HOUR)
        assert (sender.is_due(MONDAY + HOUR), sender.is_due(MONDAY + HOUR)) == (True, False)
        row = {"user_id": ann, "run_id": "r", "run_finished_at": MONDAY, "state": "waiting", "attempt_count": 1}
        row |= {"attempted_at": MONDAY, "next_attempt_at": MONDAY + 3 * HOUR, "answer": ""}
        with shop.store.begin() as connection:
            upsert(connection, DIGEST_DELIVERIES, [row])
        assert (sender.is_due(MONDAY + 2 * HOUR), sender.is_due(MONDAY + 3 * HOUR)) == (False, True)
        shop.close()


def test_its_process_ends_well_and_settles_who_may_read_nothing_any_more(shop):
    now = datetime.now(UTC)
    with mail_server() as server:
        shop = with_mail_server(with_address(shop), server.port)
        ann = join(shop, "ann")
        subscribe(shop, ann, at=now - HOUR)
        with shop.store.begin() as connection:
            connection.exec_driver_sql("update users set roles = '[\"service_agent\"]'")
        finish_run(shop, now)
        sender = DigestSender(shop, lambda: now, check_seconds=0.05)
        sender.start()
        states, until = [], time.monotonic() + 60
        while states != ["skipped"] and time.monotonic() < until:
            time.sleep(0.1)
            with shop.store.begin() as connection:
                states = [delivery.state for delivery in digest_deliveries(connection, ann)]
        sender.stop()
        assert (states, sender.trouble) == (["skipped"], "")
        shop.close()
