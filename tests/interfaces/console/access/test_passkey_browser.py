"""Passkeys as a person uses them: a real browser, and the authenticator that Chromium pretends to have."""

from datetime import UTC, datetime

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


def walk(page, shop, at, locale):
    title, add, name, create, added, sign_in, remove = WORDS[locale]
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
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
