"""The mail digest through a real mail server: confirmed first, once a run and person, tried again, and ended."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes

import pytest
import sqlalchemy as sa
from campaign_shop import with_mail_server

from digest_readers import (
    MONDAY,
    Clock,
    actor_of,
    finish_run,
    join,
    link_letter,
    subscribe,
    token_of,
    user_of,
    with_address,
)
from mail_server import mail_server
from patron.answers.insight.digest import list_subscribers
from patron.answers.insight.today import today
from patron.commands.access import manage_users
from patron.commands.access.manage_users import Access
from patron.commands.access.sign_in_limits import OF_CONFIRMATIONS, SignInLimits
from patron.commands.access.user_mail import UserMail
from patron.commands.data.backup import backup, restore
from patron.commands.insight.digest_subscriptions import (
    Confirmation,
    confirm_digest,
    end_digest,
    find_digest_link,
    subscribe_to_digest,
    unsubscribe_from_digest,
)
from patron.commands.insight.send_digests import PAUSES, preview_digest, send_digests
from patron.commands.outreach.messages.hold_sending import hold_sending, release_sending
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Role
from patron.schema.errors import AccessProblem, BadDigest, NotFound, SendingHeld
from patron.service.digest_sender import DigestSender
from patron.storage.access.access_tables import TEAMS, USERS
from patron.storage.insight.digest_tables import DIGEST_DELIVERIES, DIGEST_SUBSCRIPTIONS
from patron.storage.insight.digests import digest_deliveries, digest_subscription
from patron.storage.shop import Shop
from patron.storage.store.store import upsert


def letter(reader, _now):
    """What is sent: the parts that the receiver may read."""
    return UserMail("Digest", " ".join(reader.parts), "<p>Digest</p>", f"https://crm.example.com{reader.path}")


class Desk:
    """A shop with a mail server, and its clock."""

    def __init__(self, shop, server):
        self.shop, self.server, self.clock = with_mail_server(with_address(shop), server.port), server, Clock()

    def run(self, **time):
        finish_run(self.shop, self.clock.wait(**time))
        return self.send()

    def send(self, compose=letter):
        return send_digests(self.shop, compose=compose, clock=self.clock)

    def states(self, user_id):
        with self.shop.store.begin() as connection:
            return [delivery.state for delivery in digest_deliveries(connection, user_id)]

    def last(self, user_id):
        with self.shop.store.begin() as connection:
            return digest_deliveries(connection, user_id)[0]

    def bodies(self):
        """Receiver and text of every digest that the server took."""
        mails = [message_from_bytes(message) for message in self.server.messages]
        return [
            (mail["To"].partition("<")[2].rstrip(">"), mail.get_payload(0).get_payload().strip())
            for mail in mails
            if mail.is_multipart()
        ]


@pytest.fixture
def desk(shop):
    with mail_server() as server:
        opened = Desk(shop, server)
        yield opened
        opened.shop.close()


def test_each_run_sends_one_digest_to_a_person_however_often_the_process_starts(desk):
    ann = join(desk.shop, "ann")
    finish_run(desk.shop, MONDAY - timedelta(hours=1), "before")
    subscribe(desk.shop, ann, "today", "brief")
    assert desk.send() is None, "a run before the subscription is no news"
    desk.run(hours=1)
    desk.send()
    assert desk.bodies() == [("ann@example.com", "today brief")]
    desk.run(days=1)
    assert (len(desk.bodies()), desk.states(ann)) == (2, ["sent", "sent"])
    mail = message_from_bytes(desk.server.messages[-1])
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = mail["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert find_digest_link(desk.shop, token).user.user_id == ann
    assert mail["Message-ID"] != message_from_bytes(desk.server.messages[-2])["Message-ID"]
    actions = [entry.action for entry in audit_log.entries(desk.shop.store) if entry.action.startswith("digest")]
    assert actions == ["digest subscribed", "digest confirmed", "digest sent", "digest sent"]
    [subscribed] = [entry for entry in audit_log.entries(desk.shop.store) if entry.action == "digest subscribed"]
    assert json.loads(subscribed.details)["by"].endswith(f"(user {ann})")


def test_nothing_is_sent_before_the_link_in_the_mailbox_was_used(desk):
    ann = join(desk.shop, "ann")
    assert subscribe(desk.shop, ann, is_confirmed=False) is Confirmation.MAILED
    token = message_from_bytes(desk.server.messages[0]).get_payload().replace("=\n", "").rpartition("/")[2].strip()
    desk.run(hours=1)
    assert (desk.bodies(), desk.states(ann)) == ([], [])
    assert find_digest_link(desk.shop, token).subscription.confirmed_at is None, "looking confirms nothing"
    confirm_digest(desk.shop, token, now=desk.clock())
    assert subscribe(desk.shop, ann, "today", is_confirmed=False) is Confirmation.CONFIRMED, "a change keeps it"
    desk.run(hours=1)
    assert desk.bodies() == [("ann@example.com", "today")]


def test_weekly_is_the_first_run_of_a_week_that_arrives(desk):
    ann = join(desk.shop, "ann")
    subscribe(desk.shop, ann, "today", rhythm="weekly")
    desk.run(days=2)
    desk.run(days=1)
    desk.run(days=3)
    assert len(desk.bodies()) == 1, "Wednesday; Thursday and Sunday are of the same week"
    desk.server.answers["ann@example.com"] = "550 no"
    desk.run(days=1)
    desk.server.answers.clear()
    desk.run(days=1)
    desk.run(days=1)
    assert (len(desk.bodies()), desk.states(ann)) == (2, ["sent", "failed", "sent"]), "Monday failed, Tuesday arrived"


def test_what_the_server_did_not_take_is_tried_again_until_it_failed_and_that_is_seen(desk):
    ann, ada = join(desk.shop, "ann"), join(desk.shop, "ada", Role.ADMIN)
    subscribe(desk.shop, ann, "today")
    desk.server.answers["ann@example.com"] = "451 4.7.1 later"
    assert desk.run(hours=1) == desk.clock() + PAUSES[0]
    assert (desk.last(ann).state, desk.last(ann).answer) == ("waiting", "451 4.7.1 later")
    desk.send()
    assert desk.last(ann).attempt_count == 1, "not before it is due"
    for pause in PAUSES:
        desk.clock.now += pause
        desk.send()
    assert (desk.last(ann).state, desk.last(ann).attempt_count) == ("failed", len(PAUSES) + 1)
    ((listed),) = list_subscribers(desk.shop)
    assert listed.digest.last.answer == "451 4.7.1 later"
    lines = {}
    for user_id in (ann, ada):
        items = today(desk.shop, actor_of(desk.shop, user_id), None, now=desk.clock()).items
        lines[user_id] = [(item.kind, item.link) for item in items if "digest" in item.kind]
    assert lines == {ann: [("digest_failed", "/account/digest")], ada: [("digests_failed", "/settings/channels")]}
    desk.server.answers.clear()
    desk.run(hours=1)
    assert desk.states(ann) == ["sent", "failed"]


def test_a_server_that_is_down_is_asked_once_a_round_and_a_newer_run_replaces_what_waits(desk, shop):
    people = [join(desk.shop, name) for name in ("ann", "ben")]
    for person in people:
        subscribe(desk.shop, person, "today")
    finish_run(desk.shop, desk.clock.wait(hours=1))
    down = with_mail_server_at(shop, 1)
    send_digests(down, compose=letter, clock=desk.clock)
    assert {desk.last(person).state for person in people} == {"waiting"}
    assert all("nothing listens there" in desk.last(person).answer for person in people)
    desk.run(minutes=1)
    assert len(desk.bodies()) == 2
    assert {tuple(desk.states(person)) for person in people} == {("sent", "failed")}
    down.close()


def test_what_waits_for_a_run_is_over_once_there_is_a_newer_one_even_if_that_is_no_news_any_more(desk, shop):
    ann = join(desk.shop, "ann")
    subscribe(desk.shop, ann, "today")
    finish_run(desk.shop, desk.clock.wait(hours=1))
    down = with_mail_server_at(shop, 1)
    send_digests(down, compose=letter, clock=desk.clock)
    finish_run(desk.shop, desk.clock.wait(minutes=1))
    desk.clock.wait(days=3)
    assert desk.send() is None, "nothing is due, so that no process is started for it"
    assert (desk.states(ann), desk.bodies()) == (["failed"], [])
    down.close()


def with_mail_server_at(shop, port):
    path = shop.folder / "patron.toml"
    before = path.read_text("utf-8")
    path.write_text(before.rpartition("[channels.email]")[0], "utf-8")
    changed = with_mail_server(shop, port)
    path.write_text(before, "utf-8")
    return changed


def test_an_answer_that_was_lost_is_never_followed_by_a_second_digest(desk):
    ann, ben = join(desk.shop, "ann"), join(desk.shop, "ben")
    for one in (ann, ben):
        subscribe(desk.shop, one, "today")
    desk.server.at_the_end["ann@example.com"] = "drop"
    desk.run(hours=1)
    with desk.shop.store.begin() as connection:
        killed = sa.update(DIGEST_DELIVERIES).where(DIGEST_DELIVERIES.c.user_id == ben)
        connection.execute(killed.values(state="sending"))
    desk.clock.wait(hours=1)
    desk.send()
    assert (desk.states(ann), desk.states(ben)) == (["unknown"], ["unknown"])
    assert len(desk.bodies()) == 2


def test_a_restored_workspace_sends_nobody_what_they_may_have_been_sent_since(desk, tmp_path):
    ann = join(desk.shop, "ann")
    subscribe(desk.shop, ann, "today")
    finish_run(desk.shop, desk.clock.wait(hours=1))
    backup(desk.shop, tmp_path / "b.tar.gz")
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=desk.clock.wait(hours=1))
    with closing(Shop.open(tmp_path / "again")) as again:
        with pytest.raises(SendingHeld):
            send_digests(again, compose=letter, clock=desk.clock)
        assert not DigestSender(again, desk.clock).is_due(desk.clock())
        release_sending(RequestContext.from_name(again, "Ada", now=desk.clock()), is_nothing_sent=True)
        assert DigestSender(again, desk.clock).is_due(desk.clock())
        send_digests(again, compose=letter, clock=desk.clock)
        with again.store.begin() as connection:
            assert [delivery.state for delivery in digest_deliveries(connection, ann)] == ["unknown"]
    assert desk.bodies() == []


def test_a_hold_on_sending_stops_digests_that_are_under_way(desk):
    for name in ("ann", "ben", "cleo"):
        subscribe(desk.shop, join(desk.shop, name))

    def letter_before_a_hold(reader, now):
        if not desk.bodies():
            hold_sending(RequestContext.from_name(desk.shop, "Ada", now=now), since=MONDAY)
        return letter(reader, now)

    finish_run(desk.shop, desk.clock.wait(hours=1))
    with pytest.raises(SendingHeld):
        desk.send(letter_before_a_hold)
    assert desk.bodies() == []
    release_sending(RequestContext.from_name(desk.shop, "Ada", now=desk.clock()), is_nothing_sent=True)
    desk.send()
    assert len(desk.bodies()) == 3


def test_rights_of_now_count_and_who_lost_them_gets_nothing(desk):
    with desk.shop.store.begin() as connection:
        row = {"team": "West", "segment": "west", "created_at": MONDAY, "created_by": "test"}
        connection.execute(sa.insert(TEAMS).values(row))
    changed, restricted, gone, disabled = (join(desk.shop, name) for name in ("ann", "ben", "cleo", "dan"))
    for one in (changed, restricted, gone, disabled):
        subscribe(desk.shop, one)
    join(desk.shop, "ada", Role.ADMIN)
    set_access, ada = manage_users.set_access, RequestContext.from_name(desk.shop, "Ada", now=MONDAY)
    set_access(ada, changed, Access((Role.PRIVACY_OFFICER,)))
    set_access(ada, restricted, Access((Role.VIEWER,), (), "West"))
    set_access(ada, gone, Access((Role.SERVICE_AGENT,)))
    manage_users.disable(RequestContext.from_name(desk.shop, "Ada", now=MONDAY), disabled)
    desk.run(hours=1)
    assert sorted(desk.bodies()) == [("ann@example.com", "today brief"), ("ben@example.com", "today")]
    assert (desk.states(gone), desk.states(disabled)) == (["skipped"], [])
    manage_users.enable(RequestContext.from_name(desk.shop, "Ada", now=MONDAY), disabled)
    desk.run(days=1)
    assert desk.states(disabled) == [], "who was kept out subscribes anew"


def test_where_everybody_needs_a_second_factor_who_has_none_gets_nothing(desk):
    ann, ben = join(desk.shop, "ann"), join(desk.shop, "ben", totp_secret=b"sealed")
    for one in (ann, ben):
        subscribe(desk.shop, one, "today")
    path = desk.shop.folder / "patron.toml"
    path.write_text(path.read_text("utf-8").replace("[access]", "[access]\nneeds_second_factor = true"), "utf-8")
    desk.shop = type(desk.shop).open(desk.shop.folder)
    desk.run(hours=1)
    assert desk.bodies() == [("ben@example.com", "today")]


def test_a_digest_that_cannot_be_written_holds_up_nobody_else(desk):
    ann, ben = join(desk.shop, "ann"), join(desk.shop, "ben")
    for one in (ann, ben):
        subscribe(desk.shop, one, "today")

    def faulty(reader, now):
        if reader.user.name == "ann":
            raise KeyError(reader.user.name)
        return letter(reader, now)

    finish_run(desk.shop, desk.clock.wait(hours=1))
    desk.send(faulty)
    assert (desk.states(ann), desk.states(ben)) == (["waiting"], ["sent"])
    assert "could not be written" in desk.last(ann).answer


def test_an_error_that_nobody_foresaw_leaves_one_digest_unknown_and_the_others_sent(desk, caplog):
    ann, ben = join(desk.shop, "ann"), join(desk.shop, "ben")
    for one in (ann, ben):
        subscribe(desk.shop, one, "today")

    def broken(reader, now):
        mail = letter(reader, now)
        return replace(mail, text=7) if reader.user.name == "ann" else mail

    finish_run(desk.shop, desk.clock.wait(hours=1), "tonight")
    desk.send(broken)
    assert (desk.states(ann), desk.states(ben)) == (["unknown"], ["sent"])
    assert (desk.last(ann).attempt_count, desk.last(ann).next_attempt_at) == (1, None)
    assert "the server's log says why" in desk.last(ann).answer
    assert f"the digest of run tonight for user {ann} cannot be sent" in caplog.text
    desk.clock.wait(days=1)
    desk.send()
    assert desk.bodies() == [("ben@example.com", "today")], "the server may have had it, so it is not sent again"


def test_an_error_before_the_server_is_asked_is_tried_again(desk):
    ann, ben = join(desk.shop, "ann"), join(desk.shop, "ben")
    for one in (ann, ben):
        subscribe(desk.shop, one, "today")
    roles = sa.update(USERS).where(USERS.c.user_id == ann)
    with desk.shop.store.begin() as connection:
        connection.execute(roles.values(roles=["of a newer version"]))
    finish_run(desk.shop, desk.clock.wait(hours=1))
    desk.send()
    assert (desk.states(ann), desk.states(ben)) == (["waiting"], ["sent"])
    with desk.shop.store.begin() as connection:
        connection.execute(roles.values(roles=["viewer"]))
    desk.clock.now += PAUSES[0]
    desk.send()
    assert desk.states(ann) == ["sent"]


def test_the_link_ends_the_digest_at_once_and_works_at_that_address_alone(desk):
    ann = join(desk.shop, "ann")
    subscribe(desk.shop, ann)
    token = token_of(desk.shop, ann)
    assert end_digest(desk.shop, token, now=MONDAY).subscription is None
    assert end_digest(desk.shop, token, now=MONDAY).subscription is None
    assert confirm_digest(desk.shop, token, now=MONDAY).subscription is None, "a link subscribes nobody"
    desk.run(hours=1)
    assert desk.bodies() == []
    for wrong in ("", "x", token[:-2], f"{token}A", "a" * 2_000, "ü"):
        with pytest.raises(NotFound):
            find_digest_link(desk.shop, wrong)
    subscribe(desk.shop, ann)
    unsubscribe_from_digest(RequestContext.from_name(desk.shop, now=MONDAY), ann)
    with desk.shop.store.begin() as connection:
        assert digest_subscription(connection, ann) is None
        manage_users.users.change_user(connection, ann, email="other@example.com")
    with pytest.raises(NotFound):
        find_digest_link(desk.shop, token)


def test_only_parts_that_one_may_read_can_be_chosen(desk):
    agent = join(desk.shop, "ann", Role.SERVICE_AGENT)
    viewer = join(desk.shop, "ben")
    asked = {"compose": link_letter, "limits": SignInLimits(), "now": MONDAY}
    for user_id, parts, rhythm in ((agent, ["today"], "weekly"), (viewer, [], "weekly"), (viewer, ["today"], "hourly")):
        actor = actor_of(desk.shop, user_id)
        with pytest.raises(BadDigest):
            subscribe_to_digest(desk.shop, actor, parts, rhythm, **asked)
    finish_run(desk.shop, MONDAY)
    preview = {
        one: preview_digest(desk.shop, user_of(desk.shop, one).email, compose=letter, now=MONDAY)
        for one in (agent, viewer)
    }
    assert preview[agent] is None
    assert preview[viewer].text == "today questions brief"
    assert desk.server.messages == [], "a preview sends nothing"


def test_an_address_gets_a_few_links_an_hour_and_a_change_of_what_is_confirmed_sends_none(desk):
    ann = join(desk.shop, "ann")
    actor, limits = actor_of(desk.shop, ann), SignInLimits()

    def ask(part, now):
        return subscribe_to_digest(desk.shop, actor, [part], "weekly", compose=link_letter, limits=limits, now=now)

    for _ in range(OF_CONFIRMATIONS.count):
        assert ask("today", MONDAY) is Confirmation.MAILED
    with pytest.raises(AccessProblem) as refused:
        ask("brief", MONDAY + timedelta(minutes=20))
    assert (refused.value.status, refused.value.retry_seconds) == (429, 2_400)
    assert len(desk.server.messages) == OF_CONFIRMATIONS.count
    assert find_digest_link(desk.shop, token_of(desk.shop, ann)).subscription.parts == ("today",), "nothing changed"
    assert ask("brief", MONDAY + OF_CONFIRMATIONS.within) is Confirmation.MAILED
    confirm_digest(desk.shop, token_of(desk.shop, ann), now=MONDAY)
    for _ in range(5):
        assert ask("today", MONDAY + OF_CONFIRMATIONS.within) is Confirmation.CONFIRMED
    assert len(desk.server.messages) == OF_CONFIRMATIONS.count + 1


def test_without_an_address_of_the_console_nothing_is_sent_that_nobody_could_end(shop):
    with mail_server() as server:
        opened = with_mail_server(shop, server.port)
        ann = join(opened, "ann")
        with pytest.raises(BadDigest, match="public_url"):
            subscribe(opened, ann)
        row = {"user_id": ann, "parts": ["today"], "rhythm": "every_run", "subscribed_at": MONDAY}
        with opened.store.begin() as connection:
            upsert(connection, DIGEST_SUBSCRIPTIONS, [row | {"confirmed_at": MONDAY}])
        finish_run(opened, MONDAY + timedelta(hours=1))
        clock = Clock(MONDAY + timedelta(hours=1))
        assert not DigestSender(opened, clock).is_due(clock())
        assert send_digests(opened, compose=letter, clock=clock) is None
        assert server.messages == []
        opened.close()
        again = with_address(opened)
        assert DigestSender(again, clock).is_due(clock())
        send_digests(again, compose=letter, clock=clock)
        assert len(server.messages) == 1
        again.close()


def test_without_a_mail_server_nothing_waits_for_one(shop):
    ann = join(shop, "ann")
    assert subscribe(shop, ann) is Confirmation.NOT_MAILED
    finish_run(shop, MONDAY + timedelta(hours=1))
    assert send_digests(shop, compose=letter, clock=Clock(MONDAY + timedelta(hours=2))) is None
    with shop.store.begin() as connection:
        assert digest_deliveries(connection, ann) == ()
