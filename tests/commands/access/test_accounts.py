"""Signing in, links that work once, second factors, limits, and that somebody can always administer."""

import email
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.policy import default

import pytest
import sqlalchemy as sa
from campaign_shop import with_mail_server
from pyotp.totp import TOTP

from mail_server import mail_server
from patron.commands.access import manage_users, sign_in, user_account
from patron.commands.access.sign_in import Browser, Credentials, NewAccount, SignInLimits
from patron.govern.access import audit_log
from patron.govern.access.passwords import require_good_password
from patron.govern.access.request_context import RequestContext
from patron.govern.access.second_factor import matching_step
from patron.govern.access.user_sessions import find_session
from patron.interfaces.console.access.audit_texts import bare_actor
from patron.interfaces.i18n.user_mail_texts import invitation_mail, reset_mail
from patron.schema.access.access_rights import Action, Area, Grant, Role
from patron.schema.errors import AccessProblem
from patron.storage.access.access_tables import SESSIONS, USERS
from patron.storage.store.statements import lock_table

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
PASSWORD, OTHER = "copper lantern drifts seaward", "seven quiet herons at dusk"
HERE = Browser("10.0.0.1", "Firefox")
ADDRESS = "https://crm.example.com"
EVERYBODY = manage_users.Access((Role.VIEWER,))


def last_part(path):
    return path.rpartition("/")[2]


def problem_of(action, *arguments, **options):
    with pytest.raises(AccessProblem) as refusal:
        action(*arguments, **options)
    return refusal.value


class Desk:
    """A shop with an administrator, and what people do there."""

    def __init__(self, shop):
        self.shop, self.limits = shop, SignInLimits()
        self.setup = last_part(manage_users.setup_path(shop, now=NOW))
        self.secret = self.set_up().secret

    def set_up(self):
        account = NewAccount("Ada", PASSWORD, "Ada@Example.com")
        return sign_in.set_up(self.shop, self.setup, account, HERE, now=NOW)

    def session(self, secret=None, now=NOW):
        return find_session(self.shop, secret or self.secret, now=now)

    def enter(self, name="ada@example.com", password=PASSWORD, browser=HERE, now=NOW):
        return sign_in.sign_in(self.shop, Credentials(name, password), browser, limits=self.limits, now=now)

    def enter_code(self, ticket, code, now=NOW):
        return sign_in.enter_second_factor(self.shop, ticket, code, HERE, limits=SignInLimits(), now=now)

    def invite(self, email="ben@example.com", access=EVERYBODY, name=""):
        compose = invitation_mail(self.shop, ADDRESS)
        return manage_users.invite(
            RequestContext.from_name(self.shop, "Ada", now=NOW), email, access, name=name, compose=compose
        )

    def join(self, link):
        return sign_in.join(self.shop, last_part(link.path), NewAccount("Ben", OTHER), HERE, now=NOW)

    def reset_link(self, name):
        return last_part(manage_users.reset_link(RequestContext.from_name(self.shop, "Ada", now=NOW), name).path)

    def add_factor(self):
        offer = user_account.offer_factor(self.shop, self.session())
        codes = user_account.turn_factor_on(
            self.shop,
            self.session(),
            offer.sealed,
            TOTP(offer.secret).at(int(NOW.timestamp()) - 30),
            limits=self.limits,
            now=NOW,
        )
        return TOTP(offer.secret), codes


@pytest.fixture
def desk(shop):
    return Desk(shop)


def test_each_link_works_once_also_for_two_at_the_same_time(desk):
    assert problem_of(desk.set_up).problem == "link_spent"
    assert manage_users.setup_path(desk.shop, now=NOW) is None
    assert desk.invite().user.name == "ben"
    link = desk.invite(name="Ben Kim")
    assert (link.user.name, desk.invite().user.name) == ("Ben Kim", "Ben Kim")
    link = desk.invite()
    with ThreadPoolExecutor(2) as pool:
        outcomes = [one.exception() for one in [pool.submit(desk.join, link) for _ in range(2)]]
    assert [type(outcome) for outcome in outcomes if outcome] == [AccessProblem]
    first, second = desk.reset_link("ben@example.com"), desk.reset_link("ben@example.com")
    assert problem_of(sign_in.reset_password, desk.shop, first, PASSWORD, now=NOW).problem == "link_spent"
    late = NOW + timedelta(minutes=61)
    assert problem_of(sign_in.reset_password, desk.shop, second, PASSWORD, now=late).problem == "link_spent"
    sign_in.reset_password(desk.shop, second, PASSWORD, now=NOW)
    assert problem_of(sign_in.reset_password, desk.shop, second, OTHER, now=NOW).problem == "link_spent"
    assert problem_of(desk.enter, "ben@example.com", OTHER).problem == "sign_in_wrong"
    assert desk.enter("BEN@example.com ").secret


def test_each_code_works_once_and_only_for_a_minute_and_a_half(desk):
    totp, recovery = desk.add_factor()
    at = int(NOW.timestamp())
    assert [matching_step(totp.secret, totp.at(at + 30 * step), at=NOW) is None for step in (-2, -1, 0, 1, 2)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    ticket = desk.enter().ticket
    assert problem_of(desk.enter_code, ticket, totp.at(at - 30)).problem == "code_wrong", "it turned the factor on"
    assert desk.enter_code(ticket, totp.at(at)).secret
    assert problem_of(desk.enter_code, ticket, totp.at(at)).problem == "code_wrong"
    assert desk.session(desk.enter_code(ticket, recovery[3].upper()).secret).has_second_factor
    assert problem_of(desk.enter_code, ticket, recovery[3]).problem == "code_wrong"
    late = NOW + timedelta(minutes=5)
    assert problem_of(desk.enter_code, ticket, recovery[4], now=late).problem == "sign_in_again"
    assert problem_of(desk.enter_code, f"{ticket[:-4]}AAA=", recovery[4]).problem == "sign_in_again"


def test_a_reset_keeps_the_second_factor_and_ends_every_session_and_ticket(desk):
    _, recovery = desk.add_factor()
    ticket = desk.enter().ticket
    sign_in.reset_password(desk.shop, desk.reset_link("ada@example.com"), OTHER, now=NOW)
    assert desk.session() is None
    assert problem_of(desk.enter_code, ticket, recovery[0]).problem == "sign_in_again"
    assert desk.enter(password=OTHER).ticket


def test_sessions_end_by_time_and_at_once_by_an_administrator(desk):
    ben = desk.join(desk.invite()).secret
    assert desk.session(ben).actor.may("read", "overview")
    assert desk.session(ben, NOW + timedelta(hours=7, minutes=59))
    assert desk.session(ben, NOW + timedelta(hours=16)) is None
    for hours in range(0, 168, 6):
        desk.session(now=NOW + timedelta(hours=hours))
    assert desk.session(now=NOW + timedelta(hours=168)) is None
    manage_users.set_access(
        RequestContext.from_name(desk.shop, "Ada", now=NOW), "ben@example.com", manage_users.Access((Role.ANALYST,))
    )
    assert desk.session(ben).actor.may(Action.ACT, Area.MODELS)
    manage_users.disable(RequestContext.from_name(desk.shop, "Ada", now=NOW), "ben@example.com")
    assert desk.session(ben) is None
    assert problem_of(desk.enter, "ben@example.com", OTHER).problem == "sign_in_wrong"
    manage_users.enable(RequestContext.from_name(desk.shop, "Ada", now=NOW), "ben@example.com")
    assert desk.session(ben) is None
    again = desk.enter("ben@example.com", OTHER).secret
    other = desk.enter("ben@example.com", OTHER).secret
    entered, replaced = Credentials("ben@example.com", OTHER), desk.enter("ben@example.com", OTHER).secret
    sign_in.sign_in(desk.shop, entered, HERE, limits=desk.limits, replaces=replaced, now=NOW)
    assert desk.session(replaced) is None, "a browser has one session"
    user_account.change_password(desk.shop, desk.session(again), OTHER, PASSWORD, limits=desk.limits, now=NOW)
    assert (desk.session(again) is None, desk.session(other)) == (False, None)


def test_who_tries_too_often_waits(desk):
    robot = Browser("10.1.0.1", "Robot")
    for _ in range(5):
        assert problem_of(desk.enter, "ada@example.com", OTHER, robot).status == 401
    refusal = problem_of(desk.enter, browser=robot)
    assert (refusal.status, refusal.problem) == (429, "too_many")
    assert 0 < refusal.retry_seconds <= 300
    assert desk.enter(browser=robot, now=NOW + timedelta(minutes=5)).secret


def test_nobody_elsewhere_keeps_a_user_out_where_they_signed_in_before():
    limits, later = SignInLimits(), NOW + timedelta(minutes=5)
    for number in range(20):
        limits.count_attempt("ada@example.com", f"10.1.{number}.1", is_known=False, now=NOW)
    elsewhere = {"email": "ADA@example.com", "address": "10.9.9.9", "is_known": False}
    assert problem_of(limits.count_attempt, **elsewhere, now=NOW).retry_seconds == 300
    for _ in range(7):
        limits.count_attempt("ada@example.com", "10.0.0.1", is_known=True, now=NOW)
        limits.forget_attempts("Ada@example.com", "10.0.0.1")  # why: a success starts over
    limits.count_attempt(**elsewhere, now=later)
    for number in range(60):
        limits.count_attempt(f"{number}@example.com", f"2001:db8::{number:x}", is_known=False, now=NOW)
    network = {"email": "x@example.com", "address": "2001:db8::ffff", "is_known": False}
    assert problem_of(limits.count_attempt, **network, now=NOW).status == 429
    limits.count_attempt(**network, now=later)


def test_what_is_refused_for_its_address_counts_for_no_account_and_takes_no_memory():
    limits = SignInLimits()
    for number in range(60):
        limits.count_attempt(f"{number}@example.com", "10.0.0.1", is_known=False, now=NOW)
    mine = {"email": "ada@example.com", "address": "10.0.0.1", "is_known": False}
    for _ in range(5):
        assert problem_of(limits.count_attempt, **mine, now=NOW + timedelta(minutes=1)).status == 429
    limits.count_attempt(**mine, now=NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short one", "password_short"),
        ("x" * 129, "password_long"),
        ("password1234", "password_guessable"),
        ("nordlicht2026", "password_guessable"),
        ("ada@example.com", "password_guessable"),
        ("aaaaaaaaaaaaaaaaaa", "password_guessable"),
    ],
)
def test_passwords_that_others_guess_are_refused(password, problem):
    assert problem_of(require_good_password, password, ("Ada", "ada@example.com", "Nordlicht")).problem == problem


@pytest.mark.parametrize("password", [PASSWORD, "铜灯 漂向 大海 之外 的 黄昏", f"{OTHER} " * 4])
def test_good_passwords_need_no_special_characters(password):
    require_good_password(password, ("Ada", "ada@example.com", "Nordlicht"))


def test_the_last_active_administrator_stays_one_and_a_team_with_members_stays(desk):
    admin = manage_users.Access((Role.ADMIN,))
    for change in (manage_users.disable, lambda *a, **b: manage_users.set_access(*a, EVERYBODY, **b)):
        assert (
            problem_of(change, RequestContext.from_name(desk.shop, "x", now=NOW), "ada@example.com").problem
            == "last_admin"
        )
    link = desk.invite(access=admin)
    assert (
        problem_of(manage_users.disable, RequestContext.from_name(desk.shop, "x", now=NOW), "ada@example.com").problem
        == "last_admin"
    )
    desk.join(link)
    manage_users.disable(RequestContext.from_name(desk.shop, "x", now=NOW), "ada@example.com")
    assert (
        problem_of(manage_users.disable, RequestContext.from_name(desk.shop, "x", now=NOW), "ben@example.com").problem
        == "last_admin"
    )
    manage_users.save_team(RequestContext.from_name(desk.shop, "Ada", now=NOW), "West", segment="")
    desk.invite("dora@example.com", manage_users.Access((Role.VIEWER,), (Grant.EXPORT,), "West"))
    assert (
        problem_of(manage_users.delete_team, RequestContext.from_name(desk.shop, "Ada", now=NOW), "West").problem
        == "team_used"
    )
    assert problem_of(desk.invite, "c@example.com", manage_users.Access((), (), "")).problem == "no_role"
    assert (
        problem_of(desk.invite, "c@example.com", manage_users.Access((Role.VIEWER,), (), "East")).problem == "no_team"
    )


def test_everything_is_in_the_audit_log_without_addresses_and_secrets_are_stored_nowhere(desk):
    totp, codes = desk.add_factor()
    desk.join(desk.invite())
    with pytest.raises(AccessProblem):
        desk.enter("ben@example.com", "wrong")
    manage_users.disable(RequestContext.from_name(desk.shop, "Ada (user 1)", now=NOW), "ben@example.com")
    sign_in.sign_out(desk.shop, desk.session(), now=NOW)
    log = audit_log.entries(desk.shop.store)
    assert [(one.action, bare_actor(json.loads(one.details).get("by", ""))) for one in log] == [
        ("set-up link created", ""),
        ("user joined", "Ada"),
        ("signed in", "Ada"),
        ("second factor on", "Ada"),
        ("user invited", "Ada"),
        ("user joined", "Ben"),
        ("signed in", "Ben"),
        ("sign-in failed", ""),
        ("user disabled", "Ada"),
        ("signed out", "Ada"),
    ]
    text = json.dumps([vars(one) for one in log])
    assert "@" not in text
    assert audit_log.log_problem(desk.shop) == ""
    with desk.shop.store.begin() as connection:
        content = str(
            [row for table in (USERS.metadata.tables.values()) for row in connection.execute(sa.select(table))]
        )
    for secret in (PASSWORD, desk.secret, desk.setup, totp.secret, *codes, codes[0].replace("-", "")):
        assert secret not in content


def test_letters_hold_the_link_in_the_language_of_the_reader(desk):
    with mail_server() as server:
        desk.shop = with_mail_server(desk.shop, server.port)
        link = desk.invite()
        assert link.is_mailed
        desk.join(link)
        user_account.save_profile(
            desk.shop, desk.session(desk.enter("ben@example.com", OTHER).secret), name="本", locale="zh_CN", now=NOW
        )
        for name in ("ben@example.com", "nobody@example.com"):
            compose = reset_mail(desk.shop, ADDRESS)
            manage_users.request_reset(desk.shop, name, compose=compose, now=NOW)
        invitation, reset = (email.message_from_bytes(message, policy=default) for message in server.messages)
    assert ADDRESS + link.path in invitation.get_content()
    assert (invitation["To"], invitation["List-Unsubscribe"]) == ("ben <ben@example.com>", None)
    assert "重置" in reset["Subject"]
    path = reset.get_content().partition(ADDRESS)[2].split()[0]
    sign_in.reset_password(desk.shop, last_part(path), PASSWORD, now=NOW)
    desk.shop.close()


def test_who_reads_does_not_wait_for_whoever_writes_to_record_that_a_session_was_used(desk):
    later = NOW + timedelta(minutes=5)
    with desk.shop.store.begin() as other:
        lock_table(other, SESSIONS)
        begun = time.monotonic()
        assert desk.session(now=later).used_at == NOW.replace(tzinfo=None)
        assert time.monotonic() - begun < 5
    assert desk.session(now=later).used_at == NOW.replace(tzinfo=None)
    assert desk.session(now=later).used_at == later.replace(tzinfo=None)
