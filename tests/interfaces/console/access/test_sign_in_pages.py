"""The way in as programs walk it, over a real server; nobody is known before they sign in."""

import re
import shutil
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from patron.commands.access.manage_users import Access, invite, setup_path
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.interfaces.i18n.user_mail_texts import invitation_mail
from patron.schema.access.access_rights import Role
from patron.storage.access.access_tables import SESSIONS
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
