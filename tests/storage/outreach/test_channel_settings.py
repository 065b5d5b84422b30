"""Settings of channels: what is wrong is named, and no password stands in a file of settings."""

import pytest

from patron.schema.errors import SettingsError
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.settings import load_settings

WHOLE = """
[channels.email]
host = "127.0.0.1"
port = 2525
security = "none"
from = "shop@shop.example"
public_url = "http://127.0.0.1:8321/"
dkim_selector = "patron"
dkim_key_file = "dkim.pem"
"""


def loaded(tmp_path, text) -> EmailSettings:
    file = tmp_path / "patron.toml"
    file.write_text(text, "utf-8")
    return load_settings(file).channels.email


def test_the_section_of_the_issue_is_read(tmp_path):
    email = loaded(tmp_path, WHOLE)
    assert (email.from_address, email.domain, email.public_url) == (
        "shop@shop.example",
        "shop.example",
        "http://127.0.0.1:8321",
    )
    assert email.is_configured
    assert not loaded(tmp_path, "").is_configured


def test_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_CHANNELS__EMAIL__FROM", "other@shop.example")
    monkeypatch.setenv("PATRON_CHANNELS__EMAIL__PORT", "26")
    email = loaded(tmp_path, WHOLE)
    assert (email.from_address, email.port, email.host) == ("other@shop.example", 26, "127.0.0.1")


WRONG = {
    'from = "shop"': "from is not an e-mail address",
    'from = "shop@shop.example\\r\\nBcc: eve@x.example"': "from is not an e-mail address",
    'public_url = "http://shop.example"': "needs to be an https address",
    'public_url = "https://shop.example/?a=1"': "needs to be an https address",
    'security = "ssl"': "security must be one of",
    "port = 0": "port must be at least 1",
    "messages_per_second = -1": "messages_per_second must be at least 0",
    'dkim_selector = ""': "dkim_selector and dkim_key_file, both or neither",
    'dkim_key_file = "../dkim.pem"': "leads out of the workspace",
    'password = "hunter2"': "password is not a known key",
    'bounce_domain = "no domain"': "is not a domain",
    'from_name = "a\\nb"': "needs one line",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_key_is_named_with_what_it_must_be(tmp_path, line):
    key = line.partition(" ")[0]
    kept = "".join(f"{one}\n" for one in WHOLE.splitlines() if not one.startswith(f"{key} "))
    with pytest.raises(SettingsError, match=WRONG[line]) as refusal:
        loaded(tmp_path, f"{kept}{line}\n")
    assert str(tmp_path) in refusal.value.where


def test_a_password_does_not_go_in_clear_over_the_net(tmp_path):
    with pytest.raises(SettingsError, match="the password is sent in clear text"):
        loaded(tmp_path, WHOLE.replace('"127.0.0.1"', '"smtp.shop.example"') + 'user = "shop"\n')
    assert loaded(tmp_path, WHOLE + 'user = "shop"\n').user == "shop"


WRONG_OVER_HTTP = {
    'webhook.url = "http://shop.example/hook"': "needs to be an https address",
    'webhook.url = "https://user:hunter2@shop.example/hook"': "without a password",
    'webhook.url = "https://"': "needs to be an https address",
    'webhook.url = "https://[::1"': "needs to be an https address",
    'webhook.local_hosts = ["http://127.0.0.1"]': "names or addresses without a scheme",
    'webhook.secret_file = "../secret"': "leads out of the workspace",
    'webhook.secret = "whsec_hunter2"': "secret is not a known key",
    'web_push.key_file = "push.pem"': "key_file and contact, both or neither",
    'web_push.contact = "it@shop.example"': "needs to be mailto:",
    'web_push.click_url = "javascript:alert(1)"': "needs to be an https address",
    'receipts.secret_file = "../secret"': "leads out of the workspace",
}


@pytest.mark.parametrize("line", WRONG_OVER_HTTP)
def test_a_wrong_key_of_a_channel_over_http_is_named_with_what_it_must_be(tmp_path, line):
    with pytest.raises(SettingsError, match=WRONG_OVER_HTTP[line]) as refusal:
        loaded(tmp_path, f"[channels]\n{line}\n")
    assert "hunter2" not in str(refusal.value)


def test_plain_http_goes_to_named_hosts_only(tmp_path):
    text = '[channels.webhook]\nurl = "http://Crm.internal:9000/hook"\nlocal_hosts = ["CRM.internal"]\n'
    assert loaded(tmp_path, text).is_configured is False
    assert load_settings(tmp_path / "patron.toml").channels.webhook.is_configured
