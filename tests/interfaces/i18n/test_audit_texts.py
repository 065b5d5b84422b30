"""Every action that the code writes into the audit log has a name in both languages."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import patron
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import words

LOGGERS = {"append", "_log", "_log_by_user"}
"""Functions that take an action as a text."""
EXPORTERS = {"list_file", "record_list_export", "_file"}
"""Functions that take the name of a list as a text."""


def texts_given_to(names: set[str]) -> Iterator[str]:
    """The first text that is written out in each call of these functions."""
    for path in Path(patron.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        nodes = ast.walk(ast.parse(source)) if any(name in source for name in ("audit_log", *EXPORTERS)) else ()
        for call in (one for one in nodes if isinstance(one, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if name in names and len(call.args) > 1 and texts:
                yield texts[0]


@pytest.mark.parametrize("locale", LOCALES)
def test_every_action_of_the_audit_log_has_a_name(locale):
    known = words(locale).texts
    written = set(texts_given_to(LOGGERS))
    assert len(written) > 50
    assert sorted(one for one in written if f"audit_action.{one.replace(' ', '_')}" not in known) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_way_to_sign_in_has_a_name(locale):
    first = ("password", "single sign-on")
    ways = {*first, *(f"{one} and second factor" for one in first), "passkey", "second factor"}
    ways |= {"unknown passkey", "passkey of a user who may not sign in"}
    assert sorted(one for one in ways if f"sign_in_step.{one}" not in words(locale).texts) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_list_that_somebody_takes_out_has_a_name(locale):
    written = set(texts_given_to(EXPORTERS))
    assert len(written) > 12
    assert sorted(one for one in written if f"exported_list.{one}" not in words(locale).texts) == []
