"""Settings of the shop and its channels: shown from the files, checked, tried, and never with a secret."""

import httpx
import pytest

from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.storage.shop import SETTINGS_FILE

SECTION = """
[channels.email]
host = "127.0.0.1"
port = 9
security = "none"
user = "smtp-user"
password_file = "smtp-password"
from = "shop@shop.example"
public_url = "http://127.0.0.1:8321"
"""


@pytest.fixture
def with_email(shop):
    settings = shop.folder / SETTINGS_FILE
    settings.write_text(settings.read_text("utf-8") + SECTION, "utf-8")
    (shop.folder / "smtp-password").write_text("hunter2")
    shop.reload_settings()
    return shop


def test_channels_are_shown_and_checked_without_their_secrets(with_email):
    admin = Actor("Ada", rights_of_user([Role.ADMIN]))
    with served(with_email, admin) as url, httpx.Client(base_url=url, timeout=60) as client:
        page, twin = client.get("/settings/channels"), client.get("/api/settings").json()
        checked = client.post("/settings/channels/check").text
        chinese = client.get("/settings/channels?lang=zh_CN").text
    email, sms = (channel for channel in twin["channels"] if channel["name"] in {"email", "sms"})
    assert email["values"]["from_address"] == "shop@shop.example"
    assert (email["secrets"]["password_file"], email["secrets"]["dkim_key_file"]) == (True, False)
    assert (sms["is_configured"], sms["secrets"]) == (False, {})
    assert "shop@shop.example" in page.text
    assert "[channels.sms]" in page.text, "how to set up what is not"
    assert "Not reachable" in checked
    assert "店铺与渠道" in chinese
    for secret in ("hunter2", "smtp-user", "smtp-password"):
        assert secret not in page.text + checked + str(twin)


def test_only_administrators_see_the_settings(shop):
    with served(shop, Actor("Vi", rights_of_user([Role.VIEWER]))) as url:
        answers = [httpx.get(url + path, timeout=60) for path in ("/settings/channels", "/api/settings")]
    assert [answer.status_code for answer in answers] == [401, 401], "who looks on is asked to sign in"


def test_settings_open_in_the_language_that_was_asked_for(shop):
    with served(shop, Actor("Ada", rights_of_user([Role.ADMIN]))) as url:
        pages = {lang: httpx.get(f"{url}/settings?lang={lang}", follow_redirects=True) for lang in ("en", "zh_CN")}
    assert {lang: "成员" in page.text for lang, page in pages.items()} == {"en": False, "zh_CN": True}
    assert {page.url.path for page in pages.values()} == {"/settings/users"}
