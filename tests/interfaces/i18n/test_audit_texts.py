"""Every action of the audit log, and every list that somebody takes out, has a name in both languages."""

import pytest

from patron.interfaces.console.access.audit_texts import action_name
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import words
from patron.schema.access.audit_actions import AuditAction, ExportedList


@pytest.mark.parametrize("locale", LOCALES)
def test_every_action_of_the_audit_log_has_a_name(locale):
    texts = words(locale)
    assert [one for one in AuditAction if action_name(one, texts) not in texts.texts.values()] == []
    keys = {f"audit_action.{one.replace(' ', '_')}" for one in AuditAction}
    assert {key for key in texts.texts if key.startswith("audit_action.")} == keys


@pytest.mark.parametrize("locale", LOCALES)
def test_every_way_to_sign_in_has_a_name(locale):
    first = ("password", "single sign-on")
    ways = {*first, *(f"{one} and second factor" for one in first), "passkey", "second factor"}
    ways |= {"unknown passkey", "passkey of a user who may not sign in"}
    assert sorted(way for way in ways if f"sign_in_step.{way}" not in words(locale).texts) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_list_that_somebody_takes_out_has_a_name(locale):
    known = words(locale).texts
    assert {key for key in known if key.startswith("exported_list.")} == {
        f"exported_list.{one}" for one in ExportedList
    }
