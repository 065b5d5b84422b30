"""E-mail over encrypted connections: the server must prove who it is, and the password goes nowhere else."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mail_server import mail_server
from patron.engage.channels.channel import Outcome, OutgoingMessage
from patron.engage.channels.email import PASSWORD_VARIABLE, EmailChannel
from patron.schema.errors import ChannelUnavailable
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.shop import SETTINGS_FILE

# why: the test's server forgets the plain transport of a connection that was upgraded to TLS
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
AT = datetime(2024, 3, 1, tzinfo=UTC)
MESSAGE = OutgoingMessage("a" * 32, "ann@x.example", "", "Hi", "Hello", "", "offers", "TOKEN")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate of this machine that nobody but the test trusts."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


@pytest.fixture
def server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def check(_server, _session, _envelope, _mechanism, login):
        return AuthResult(success=(login.login, login.password) == (b"shop", b"sesame"))

    with mail_server(tls_context=context, require_starttls=True, auth_required=True, authenticator=check) as running:
        yield running


def channel(server, certificate=None, password="sesame", **options) -> EmailChannel:  # noqa: S107 - of the test
    fields = {"host": "127.0.0.1", "port": server.port, "security": "starttls", "user": "shop", "connections": 1}
    fields |= {"from_address": "shop@shop.example", "public_url": "http://127.0.0.1:8321", "timeout_seconds": 3}
    trusted = ssl.create_default_context(cafile=certificate / "cert.pem") if certificate else None
    return EmailChannel(EmailSettings(**(fields | options)), "Shop", lambda: AT, None, password, trusted)


def outcomes(one: EmailChannel) -> list[Outcome]:
    async def collect():
        return [answer.outcome async for answer in one.hand_over([MESSAGE])]

    return asyncio.run(collect())


def test_a_message_goes_over_starttls_after_a_log_in(server, certificate):
    assert outcomes(channel(server, certificate)) == [Outcome.SENT]
    assert server.recipients() == ["ann@x.example"]


@pytest.mark.parametrize("wrong", [{"password": "simsim"}, {"user": "eve"}, {"user": ""}, {"security": "none"}])
def test_without_the_right_log_in_nothing_is_sent(server, certificate, wrong):
    with pytest.raises(ChannelUnavailable) as refusal:
        outcomes(channel(server, certificate, **wrong))
    assert not server.messages
    assert not any(word in str(refusal.value) for word in ("sesame", "simsim"))


def test_a_server_that_nobody_vouches_for_gets_no_password(server):
    with pytest.raises(ChannelUnavailable, match="certificate"):
        outcomes(channel(server))
    assert not server.messages


def test_the_password_is_in_a_file_or_the_environment(shop, monkeypatch):
    section = '\n[channels.email]\nhost = "127.0.0.1"\nuser = "shop"\nfrom = "a@shop.example"\n'
    section += 'public_url = "http://127.0.0.1:8321"\n'
    file = shop.folder / SETTINGS_FILE
    before = file.read_text("utf-8")
    file.write_text(before + section, "utf-8")
    shop.reload_settings()
    with pytest.raises(ChannelUnavailable, match="password of shop is missing"):
        EmailChannel.of(shop, clock=lambda: AT)
    monkeypatch.setenv(PASSWORD_VARIABLE, "sesame")
    assert EmailChannel.of(shop, clock=lambda: AT).password == "sesame"  # noqa: S105 - of the test
    file.write_text(f'{before}{section}password_file = "smtp"\n', "utf-8")
    shop.reload_settings()
    with pytest.raises(ChannelUnavailable, match="cannot be read"):
        EmailChannel.of(shop, clock=lambda: AT)
    (shop.folder / "smtp").write_text("open\n", "utf-8")
    assert EmailChannel.of(shop, clock=lambda: AT).password == "open"  # noqa: S105 - of the test
