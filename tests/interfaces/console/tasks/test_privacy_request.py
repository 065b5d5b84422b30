"""Somebody asks to be forgotten, and is: from the letter to the certificate and the audit log."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.console_walk import COMBINATIONS
from tests.support.shops.campaign_shop import load
from tests.support.shops.team_shop import colleague
from tests.support.shops.workspace_copies import copy_workspace

from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Role
from patron.storage.shop import Shop

OLGA = colleague("Olga", Role.PRIVACY_OFFICER)


def mail_of(locale: str, screen: str) -> str:
    return f"zoe.quixotic.{locale.lower()}.{screen}@example.org"


@pytest.fixture(scope="module")
def console(new_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("privacy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(new_home / "config"))
        shop = Shop.open(copy_workspace(new_home / "w", folder / "w"))
        at = datetime.now(UTC) - timedelta(days=3)
        row = {"name": "User Identified", "occurred_at": at, "properties": "{}"}
        load(shop, [
            row | {"event_id": f"e{number}", "user_id": f"zoe-{number}"}
            | {"personal": json.dumps({"email": mail_of(*of)})}
            for number, of in enumerate(COMBINATIONS)
        ])  # fmt: skip
        with served(shop, OLGA) as address:
            yield address
        shop.close()


def test_a_request_is_answered_by_an_erasure_to_its_certificate(walk, console):
    walk.say("Delete me.", "Olga")
    mail = mail_of(walk.locale, walk.screen)
    walk.open(console)
    walk.navigate("privacy_desk")
    walk.follow("privacy.new")
    walk.choose("privacy.kind", walk.t("privacy_kind.erasure"))
    walk.fill("privacy.identifier", mail.upper())
    walk.fill("privacy.words", "Delete me.")
    walk.press("privacy.enter")
    walk.read("privacy_notice.received")
    assert "Delete me." in walk.text
    walk.follow("privacy.preview_erasure")
    walk.fill("privacy.confirm_label", "yes", word=walk.t("privacy.word"))
    walk.press("privacy.erase", refused=422)
    walk.read("privacy.confirm_error", word=walk.t("privacy.word"))
    walk.fill("privacy.confirm_label", walk.t("privacy.word").lower(), word=walk.t("privacy.word"))
    walk.press("privacy.erase")
    assert walk.heading == walk.t("privacy.certificate_title")
    assert "events" in walk.text
    walk.follow("privacy.back")
    assert "quixotic" not in walk.page.content().lower()
    assert "Delete me." not in walk.page.content()
    walk.open("/audit/verification?action=forgotten")
    walk.wait_for(re.compile(re.escape(walk.t("audit.intact", n=9, count="9").partition("9")[0])))
    assert set(walk.page.get_by_role("rowheader").all_inner_texts()) == {walk.t("audit_action.forgotten")}
