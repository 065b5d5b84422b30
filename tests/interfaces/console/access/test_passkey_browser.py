"""Passkeys as a person uses them: a real browser, and the authenticator that Chromium pretends to have."""

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.support.console_walk import violations

from patron.commands.access.manage_users import setup_path
from patron.interfaces.console.screenshots import served

PASSWORD = "copper lantern drifts seaward"  # noqa: S105 - of nobody
WORDS = {
    "en": ("Passkeys", "Add a passkey", "Name", "Create passkey", "Passkey added.", "Sign in with a passkey", "Remove"),
    "zh_CN": ("通行密钥", "添加通行密钥", "名称", "创建通行密钥", "已添加通行密钥。", "使用通行密钥登录", "删除"),
}


@pytest.mark.parametrize("locale", WORDS)
def test_somebody_adds_a_passkey_signs_in_by_it_and_removes_it(shop, locale, chromium):
    with served(shop, visitor=None) as at, chromium.new_context() as context:
        walk(context.new_page(), shop, at.replace("127.0.0.1", "localhost"), locale)


def with_authenticator(page, **options):
    """The session of the developer tools, and the id of a platform authenticator whose user is always verified."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    said = {**kind, "isUserVerified": True, "automaticPresenceSimulation": True, **options}
    return tools, tools.send("WebAuthn.addVirtualAuthenticator", {"options": said})["authenticatorId"]


def add_passkey(page, shop, at, locale):
    """Become a user, and add a passkey; the developer tools, and the id of the authenticator."""
    title, add, name, create, added, *_ = WORDS[locale]
    page.goto(f"{at}{setup_path(shop, now=datetime.now(UTC))}?lang={locale}")
    page.locator("[name=name]").fill("Ada Lee")
    page.locator("[name=email]").fill("ada@example.com")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main button").click()
    tools, device = with_authenticator(page)
    page.goto(f"{at}/account")
    page.get_by_role("heading", name=title).wait_for()
    page.get_by_role("link", name=add).click()
    page.get_by_label(name).fill("Laptop")
    page.get_by_role("button", name=create).click()
    page.get_by_text(added).wait_for()
    return tools, device


def try_passkey(page, at):
    """Try to sign in by the passkey that the authenticator holds; where that leads."""
    page.context.clear_cookies(name="patron_session")
    page.goto(f"{at}/sign-in")
    page.get_by_role("button", name=WORDS["en"][5]).click()
    for _ in range(60):  # why: the policy of the pages allows no function to wait for
        page.wait_for_timeout(50)
        if urlsplit(page.url).path != "/sign-in" or page.locator(".callout.danger").count():
            break
    page.wait_for_load_state()
    return urlsplit(page.url).path


def test_an_authenticator_that_lies_signs_nobody_in(shop, chromium):
    with served(shop, visitor=None) as served_at, chromium.new_context() as context:
        page, at = context.new_page(), served_at.replace("127.0.0.1", "localhost")
        tools, device = add_passkey(page, shop, at, "en")
        sent = []
        page.on("request", lambda one: sent.append(one) if one.url == f"{at}/sign-in/passkey" else None)
        assert not try_passkey(page, at).startswith("/sign-in")
        [held] = tools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]

        form = dict(parse_qsl(sent[0].post_data))
        for cookies in ({}, {one["name"]: one["value"] for one in context.cookies()}):
            again = httpx.post(f"{at}/sign-in/passkey", data=form, headers={"origin": at}, cookies=cookies)
            assert again.status_code >= 400, "a signature counts once"
            assert "patron_session" not in again.headers.get("set-cookie", "")

        def hold(**changes):
            tools.send("WebAuthn.clearCredentials", {"authenticatorId": device})
            tools.send("WebAuthn.addCredential", {"authenticatorId": device, "credential": held | changes})

        hold(signCount=0)
        assert try_passkey(page, at) == "/sign-in/passkey", "a counter that went back is of a copy"
        hold(userHandle=b64encode(b"0" * 12).decode(), signCount=100)
        assert try_passkey(page, at) == "/sign-in/passkey", "it is of another user"
        hold(credentialId=b64encode(b"1" * 16).decode(), signCount=100)
        assert try_passkey(page, at) == "/sign-in/passkey", "nobody has this one"
        hold(signCount=100)
        tools.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
        assert try_passkey(page, at).startswith("/sign-in"), "nobody was verified"
        tools.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
        page.goto(f"{served_at}/sign-in")
        assert page.get_by_role("button", name=WORDS["en"][5]).count() == 0, "passkeys are of another name"
        assert not try_passkey(page, at).startswith("/sign-in")


def walk(page, shop, at, locale):
    sign_in, remove = WORDS[locale][5:]
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    tools, device = add_passkey(page, shop, at, locale)
    held = tools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    assert [(one["isResidentCredential"], one["rpId"]) for one in held] == [(True, "localhost")]
    assert violations(page) == []
    page.context.clear_cookies(name="patron_session")
    page.goto(f"{at}/settings/users")
    assert violations(page) == []
    page.get_by_role("button", name=sign_in).click()
    page.wait_for_url("**/settings/users")
    page.goto(f"{at}/account")
    row = page.get_by_role("row", name="Laptop")
    row.get_by_role("button", name=remove).click()
    page.locator("#confirm button[value=yes]").click()
    page.wait_for_url("**/account?note=passkey_removed")
    assert page.get_by_role("row", name="Laptop").count() == 0
    page.context.clear_cookies(name="patron_session")
    page.goto(f"{at}/sign-in")
    page.get_by_role("button", name=sign_in).click()
    page.locator(".callout.danger").wait_for()
    assert page.url == f"{at}/sign-in/passkey", "what was removed here, the device still offers"
    assert [problem for problem in problems if "401" not in problem] == []
