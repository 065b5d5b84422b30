"""Single sign-on as a person walks it: from the page of the console to an issuer and back, in a real browser."""

from dataclasses import dataclass

import pytest

from oidc_issuer import CLIENT, SECRET, local_issuer
from patron.commands.access.single_sign_on import SECRET_VARIABLE
from patron.interfaces.console.screenshots import served
from patron.storage.access.oidc_settings import OidcSettings
from patron.storage.settings import Settings


@dataclass(frozen=True)
class Texts:
    """What the pages say."""

    button: str
    refused: str
    linked: str


TEXTS = {
    "en": Texts("Sign in with Example account", "Nobody here has this account", "Connected"),
    "zh_CN": Texts("使用 Example account 登录", "该账号尚未绑定任何成员", "已绑定"),
}


@pytest.mark.parametrize("locale", TEXTS)
def test_somebody_signs_in_at_the_issuer_and_comes_back(shop, locale, monkeypatch, chromium):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    with local_issuer() as issuer, served(shop, visitor=None) as at, chromium.new_context() as context:
        walk(context.new_page(), shop, issuer, at, locale)


def configure(shop, issuer, **options):
    oidc = OidcSettings(issuer=issuer.url, client_id=CLIENT, name="Example account", **options)
    shop.settings = Settings.model_copy(shop.settings, update={"oidc": oidc})


def walk(page, shop, issuer, at, locale):
    texts, problems = TEXTS[locale], []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    configure(shop, issuer)
    page.goto(f"{at}/settings/users?lang={locale}")
    page.goto(f"{at}/sign-in?next=/account&lang={locale}")
    page.get_by_role("button", name=texts.button).click()
    page.get_by_text(texts.refused).wait_for()
    assert issuer.requests.count("/authorize") == 1
    configure(shop, issuer, unknown_users="create", mail_domains=("example.com",))
    page.goto(f"{at}/sign-in?next=/account")
    page.get_by_role("button", name=texts.button).click()
    page.wait_for_url(f"{at}/account")
    page.get_by_text(texts.linked, exact=True).wait_for()
    assert [problem for problem in problems if "403" not in problem] == [], "the policy of content lets nobody down"
    assert {cooky["name"] for cooky in page.context.cookies()} == {"patron_session", "lang", "screen"}
