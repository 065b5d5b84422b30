"""The way in as programs walk it, over a real server; nobody is known before they sign in."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from itertools import combinations

import httpx
import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from patron.commands.access.manage_users import Access, invite, setup_path
from patron.govern.access import passwords, users
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import Browser, create_session
from patron.interfaces.console.mount import PAGES
from patron.interfaces.console.screenshots import served
from patron.interfaces.i18n.user_mail_texts import invitation_mail
from patron.schema.access.access_rights import Role
from patron.schema.errors import AccessProblem
from patron.storage.access.access_tables import SESSIONS, TEAMS
from patron.storage.settings import Settings
from patron.storage.shop import Shop

PASSWORD = "copper lantern drifts seaward"  # noqa: S105 - of nobody
ADDRESS, STRANGER = "ada@example.com", "no@body.example"
CSRF = re.compile('name="csrf" value="([0-9a-f]+)"')


@pytest.fixture(scope="module")
def team(new_home, tmp_path_factory):
    """A shop, its address, and a client with the session of its first administrator."""
    folder = tmp_path_factory.mktemp("team")
    shutil.copytree(new_home, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        shop = Shop.open(folder / "w")
        with served(shop, visitor=None) as at, httpx.Client(base_url=at, timeout=30) as admin:
            set_up(shop, admin)
            yield shop, at, admin
        shop.close()


def set_up(shop, client) -> None:
    path = setup_path(shop, now=datetime.now(UTC))
    assert client.get(path).status_code == 200, "and looking changes nothing"
    answer = client.post(path, data={"name": "Ada", "email": ADDRESS, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/second-factor?first=1")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("patron_session=", "HttpOnly", "Path=/", "SameSite=lax"))


def token(client, path="/account") -> str:
    return CSRF.search(client.get(path).text)[1]


def sign_in(client, **fields):
    return client.post("/sign-in", data={"email": ADDRESS, "password": PASSWORD, **fields})


def test_only_forms_of_this_console_sign_in_and_lead_to_its_pages_only(team):
    _, at, admin = team
    with httpx.Client(base_url=at, timeout=30) as client:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            fields = {"email": ADDRESS, "password": PASSWORD}
            assert client.post("/sign-in", data=fields, headers=headers).status_code == 403
        for address, after in (
            ("//evil.example", "/"),
            ("https://evil.example/x", "/"),
            ("/\\evil.example", "/"),
            ("/customers?page=2", "/customers?page=2"),
        ):
            assert sign_in(client, next=address).headers["location"] == after
        assert admin.post("/account/profile", data={"name": "Eve"}).status_code == 403, "without its token"
        form = {"name": "Ada Lee", "locale": "zh_CN", "csrf": token(admin)}
        assert admin.post("/account/profile", data=form).headers["location"] == "/account?note=saved"
        assert "我的账号" in admin.get("/account").text
        twin = admin.get("/api/account").json()
        assert (twin["user"]["name"], len(twin["sessions"])) == ("Ada Lee", 2)
        assert "hash" not in str(twin)
        assert "secret" not in str(twin)


def test_answers_to_strangers_are_the_same_whether_somebody_has_an_account(team):
    with httpx.Client(base_url=team[1], timeout=30) as client:
        both = (ADDRESS, STRANGER)
        answers = [client.post("/sign-in", data={"email": who, "password": "x"}) for who in both]
        assert {answer.status_code for answer in answers} == {401}
        first, second = (answer.text.replace(who, "") for answer, who in zip(answers, both, strict=True))
        assert first == second
        resets = {client.post("/reset", data={"email": who}).text for who in both}
        assert len(resets) == 1
        for number in range(6):
            answer = client.post("/sign-in", data={"email": STRANGER, "password": f"x{number}"})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 300
        for path in ("/join/nonsense", "/set-up/nonsense", "/reset/nonsense"):
            assert client.get(path).status_code == 410
        assert client.get("/settings/users").headers["location"] == "/sign-in?next=%2Fsettings%2Fusers"
        assert client.post("/settings/users/x/disable", data={"a": "b"}).headers["location"] == "/sign-in"
        assert client.get("/api/users").status_code == 401


def test_who_must_have_a_second_factor_comes_to_it_and_no_further(team):
    shop, _, admin = team
    settings = shop.settings
    try:
        access = shop.settings.access.model_copy(update={"needs_second_factor": True})
        shop.settings = Settings.model_copy(shop.settings, update={"access": access})
        for path in ("/", "/customers", "/settings/users"):
            assert admin.get(path).headers["location"] == "/account/second-factor"
        assert admin.get("/api/users").status_code == 403
        assert admin.get("/account").status_code == 200
        page = admin.get("/account/second-factor").text
        secret = re.search('class="secret">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
        offer = re.search('name="offer" value="([^"]+)"', page)[1]
        code = TOTP(secret).at(int(datetime.now(UTC).timestamp()))
        form = {"csrf": CSRF.search(page)[1], "offer": offer, "code": code}
        assert admin.post("/account/second-factor", data=form).status_code == 200
        assert admin.get("/settings/users").status_code == 200
        off = {"csrf": form["csrf"], "password": PASSWORD}
        assert admin.post("/account/second-factor/off", data=off).status_code == 409
    finally:
        shop.settings = settings


def test_who_left_the_console_open_makes_no_key_without_the_password(team):
    shop, _, admin = team
    headers, body = {"x-csrf-token": token(admin)}, {"source": "erp", "kind": "secret"}
    earlier = sa.update(SESSIONS).values(confirmed_at=datetime.now(UTC) - timedelta(minutes=16))
    with shop.store.begin() as connection:
        connection.execute(earlier)
    assert admin.get("/settings/keys/new").headers["location"].startswith("/account/confirm")
    assert admin.post("/api/keys", json=body, headers=headers).status_code == 403
    form = {"csrf": headers["x-csrf-token"], "password": PASSWORD}
    assert admin.post("/account/confirm", data=form).status_code == 303
    assert admin.post("/api/keys", json=body, headers=headers).status_code == 200


def test_a_marketer_manages_nobody_and_an_admin_ends_sessions_at_once(team):
    shop, at, admin = team
    with httpx.Client(base_url=at, timeout=30) as ben:
        compose, now = invitation_mail(shop, at), datetime.now(UTC)
        link = invite(
            RequestContext.from_name(shop, "x", now=now), "ben@example.com", Access((Role.MARKETER,)), compose=compose
        )
        assert ben.post(link.path, data={"name": "Ben", "password": "seven quiet herons at dusk"}).status_code == 303
        theirs = {"csrf": token(ben)}
        for path in ("/settings/users", "/settings/teams", "/settings/roles", "/api/users", "/api/teams", "/api/roles"):
            assert ben.get(path).status_code == 403, path
            assert admin.get(path).status_code == 200, path
        for step in ("", "/disable", "/enable", "/reset-link", "/remove-factor", "/invite"):
            assert ben.post(f"/settings/users/{link.user.user_id}{step}", data=theirs).status_code == 403
        path, form = f"/settings/users/{link.user.user_id}", {"csrf": token(admin)}
        changed = admin.post(path, data={**form, "role": ["analyst", "viewer"], "grant": "export"})
        assert changed.headers["location"] == f"{path}?note=saved"
        assert admin.get(f"/api{path.removeprefix('/settings')}").json()["user"]["roles"] == ["viewer", "analyst"]
        assert admin.post(f"{path}/disable", data=form).headers["location"] == f"{path}?note=disabled"
        assert ben.get("/account").headers["location"].startswith("/sign-in")


SETS_OF_ROLES = [roles for count in range(1, len(Role) + 1) for roles in combinations(Role, count)]
PATHS = [*PAGES.values(), "/sign-in", "/account", "/settings/users", "/customers?page=2", f"/customers/{'0' * 32}"]
NOT_PAGES = [
    "/nowhere",
    "/static/patron.css",
    "/sign-out",
    "/metrics",
    "/api/customers/lookup",
    "/settings/users/x/disable",
]


@pytest.fixture(scope="module")
def restricted_team(team):
    with team[0].store.begin() as connection:
        row = {"team": "West", "segment": "one that is empty", "created_at": datetime.now(UTC), "created_by": "test"}
        connection.execute(sa.insert(TEAMS).values(row))
    return "West"


def member(shop, access: Access, name: str) -> str:
    """Secret of a session of somebody with an account."""
    now = datetime.now(UTC)
    with shop.store.begin() as connection:
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=now)
        hashed = passwords.hash_password(PASSWORD)
        users.change_user(connection, user_id, state="active", password_hash=hashed)
        return create_session(connection, user_id, Browser("", ""), has_second_factor=False, at=now)


def with_session(at, secret) -> httpx.Client:
    return httpx.Client(base_url=at, timeout=30, cookies={"patron_session": secret}, follow_redirects=True)


@pytest.mark.parametrize("is_restricted", [False, True])
def test_whatever_roles_somebody_has_the_first_page_is_one_that_they_may_see(team, restricted_team, is_restricted):
    shop, at, _ = team
    access = Access((Role.VIEWER,), team=restricted_team if is_restricted else "")
    with with_session(at, member(shop, access, f"all{is_restricted}")) as client:
        user_id = client.get("/api/account").json()["user"]["user_id"]
        for roles in SETS_OF_ROLES:  # why one session: what they may do changes while they are signed in
            with shop.store.begin() as connection:
                users.change_user(connection, user_id, roles=[role.value for role in roles])
            answer = client.get("/")
            assert answer.status_code == 200, (roles, answer.url)
            assert answer.url.path != "/account", (roles, "there is a page of work for everybody")


@pytest.mark.parametrize("is_restricted", [False, True])
@pytest.mark.parametrize("role", Role)
def test_a_sign_in_that_led_elsewhere_ends_where_the_role_may_look(team, restricted_team, role, is_restricted):
    shop, at, admin = team
    name = f"{role}{is_restricted}"
    with with_session(at, member(shop, Access((role,), team=restricted_team if is_restricted else ""), name)) as client:
        for path in PATHS:
            direct, led = client.get(path), client.get("/sign-in", params={"next": path})
            if direct.status_code == 403 or (is_restricted and path.endswith("0" * 32)):
                assert (led.status_code, led.url.path != path.partition("?")[0]) == (200, True), path
            else:
                assert (led.url, led.status_code) == (direct.url, direct.status_code), path
        for path in NOT_PAGES:
            assert client.get("/sign-in", params={"next": path}).status_code == 200, path
        form = {"email": f"{name}@example.com", "password": PASSWORD, "next": "/settings/users"}
        entered = client.post("/sign-in", data=form)
        assert entered.status_code == 200, "by the password too"
        assert (entered.url.path == "/settings/users") == (role is Role.ADMIN)
    assert admin.get("/sign-in?next=/settings/users").headers["location"] == "/settings/users"


def test_who_accepts_an_invitation_or_is_refused_a_page_finds_links_that_lead_somewhere(team):
    shop, at, _ = team
    context = RequestContext.from_name(shop, "x", now=datetime.now(UTC))
    link = invite(context, "agent@example.com", Access((Role.SERVICE_AGENT,)), compose=invitation_mail(shop, at))
    with httpx.Client(base_url=at, timeout=30, follow_redirects=True) as agent:
        joined = agent.post(link.path, data={"name": "Sam", "password": "seven quiet herons at dusk"})
        assert joined.status_code == 200
        assert 'href="/"' in joined.text
        assert agent.get("/").url.path == "/customers"
        refused = agent.get("/models")
        assert refused.status_code == 403
        main = refused.text.partition("<main")[2]
        for path in re.findall('href="(/[a-z-]*)"', main):
            assert agent.get(path).status_code == 200, path


NO_ROLES = [{}, {"role": ""}, {"role": " "}, {"role": "boss"}, {"role": ["viewer", "boss"]}, {"grant": "reveal"},
            {"role": "viewer,admin"}]  # fmt: skip


def test_an_invitation_without_a_role_is_refused_and_none_is_chosen_in_advance(team):
    shop, at, admin = team
    page = admin.get("/settings/users/invite").text
    assert page.count('name="role"') == len(Role)
    assert not re.search('name="role"[^>]*checked', page)
    form = {"csrf": token(admin), "email": "new@example.com"}
    for fields in NO_ROLES:
        answer = admin.post("/settings/users/invite", data={**form, **fields})
        assert answer.status_code == 422, fields
        assert 'name="email"' in answer.text, "the form is shown again"
    context, letter = RequestContext.from_name(shop, "x", now=datetime.now(UTC)), invitation_mail(shop, at)
    with pytest.raises(AccessProblem, match="role"):
        invite(context, "new@example.com", Access(()), compose=letter)
    with shop.store.begin() as connection:
        assert users.find_user_by_email(connection, "new@example.com") is None
    assert admin.post("/settings/users/invite", data={**form, "role": "viewer"}).status_code == 200
