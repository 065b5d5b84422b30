"""The guarded client reaches public servers and those that the settings allow, whatever a name says."""

import asyncio
import gzip
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from http_server import Answer, http_server
from patron.engage.channels.guarded_http import MAX_BYTES, NOT_SENT, GuardedClient, is_public

LOCAL = ("127.0.0.1",)


@pytest.fixture
def server():
    with http_server() as running:
        yield running


def post(url: str, **options) -> httpx.Response:
    async def exchange():
        async with GuardedClient(**options) as client:
            return await client.post(url, content=b"hello")

    return asyncio.run(exchange())


def names(*answers: list[str]):
    """A resolver that answers each question in turn, and the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "0",
            "127.0.0.1.",
            "\uff11\uff12\uff17.0.0.1",
        ),
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
        *("[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]"),
        *("[64:ff9b::a00:1]", "[2002:a00:1::]", "[2001:0:a00:1::]", "[2001:db8::1]", "[::127.0.0.1]"),
    ],
)
def test_addresses_that_are_not_public_are_refused(host):
    with pytest.raises(NOT_SENT):
        post(f"https://{host}/", timeout_seconds=2)


@given(st.ip_addresses(v=4))
@settings(max_examples=200)
def test_an_address_is_no_more_public_in_another_form(ip):
    is_refused = ip.is_private or ip.is_multicast or ip.is_reserved or not ip.is_global
    assert is_public(str(ip)) == (not is_refused)
    assert is_public(str(ip_address(f"::ffff:{ip}"))) == is_public(str(ip))
    assert is_public(f"64:ff9b::{ip}") == is_public(str(ip))
    assert not is_public(f"2002:{int(ip) >> 16:x}:{int(ip) & 0xFFFF:x}::1")


def test_a_name_with_one_private_address_is_refused(server):
    url = f"https://shop.example:{server.port}/"
    for addresses in (["93.184.216.34", "127.0.0.1"], ["127.0.0.1"], ["2606:4700::1", "::1"], ["fe80::1%lo"], []):
        with pytest.raises(httpx.ConnectError):
            post(url, resolve=names(addresses))
    assert not server.requests


def test_a_name_that_answers_differently_later_is_checked_each_time(server):
    async def exchange():
        resolve = names(["127.0.0.1"], ["10.0.0.1"])
        async with GuardedClient(resolve=resolve) as client:
            return await client.post(f"https://shop.example:{server.port}/")

    with pytest.raises(httpx.ConnectError, match="not public"):
        asyncio.run(exchange())
    connected = []

    async def connect():
        client = GuardedClient(resolve=names(["203.0.114.1"], ["127.0.0.1"]))

        class Sockets:
            async def connect_tcp(self, host, port, *_):
                connected.append((host, port))
                raise OSError

        client._backend._sockets = Sockets()
        async with client:
            await client.post("https://shop.example/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(connect())
    assert connected == [("203.0.114.1", 443)]  # why: the address that was checked, and no second question


def test_a_local_host_must_be_named_exactly(server):
    assert post(server.url, local_hosts=LOCAL).status_code == 200
    for wrong in ((), ("127.0.0.2",), ("localhost",)):
        with pytest.raises(httpx.UnsupportedProtocol):
            post(server.url, local_hosts=wrong)
    with pytest.raises(httpx.UnsupportedProtocol):
        post("http://93.184.216.34/", local_hosts=LOCAL)
    with pytest.raises(httpx.UnsupportedProtocol, match="password"):
        post(server.url.replace("//", "//user:secret@"), local_hosts=LOCAL)
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "https:///x"):
        with pytest.raises(httpx.UnsupportedProtocol):
            post(url, local_hosts=LOCAL)
    assert len(server.requests) == 1


def test_a_redirect_is_an_answer_and_leads_nowhere(server):
    server.answer = lambda _: Answer(302, headers={"Location": f"{server.url}/second"})
    assert post(f"{server.url}/first", local_hosts=LOCAL).status_code == 302
    assert [request.path for request in server.requests] == ["/first"]


def test_answers_are_bounded_in_size_and_time(server):
    server.answer = lambda _: Answer(200, b"x" * (3 * MAX_BYTES))
    answer = post(server.url, local_hosts=LOCAL)
    assert (answer.status_code, len(answer.content)) == (200, MAX_BYTES)
    bomb = gzip.compress(b"0" * 5_000_000)
    server.answer = lambda _: Answer(200, bomb, {"Content-Encoding": "gzip"})
    assert post(server.url, local_hosts=LOCAL).content == bomb
    server.answer = lambda _: Answer(200, late_seconds=0.6)
    with pytest.raises(httpx.ReadTimeout):
        post(server.url, local_hosts=LOCAL, timeout_seconds=0.2)
    assert not issubclass(httpx.ReadTimeout, NOT_SENT)


def test_the_environment_changes_nothing(server, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answer = lambda _: Answer(200, headers={"Set-Cookie": "a=b"})

    async def exchange():
        async with GuardedClient(local_hosts=LOCAL) as client:
            await client.require_reachable(server.url)
            await client.post(server.url)
            return await client.post(server.url)

    assert asyncio.run(exchange()).status_code == 200
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


def test_the_certificate_must_be_of_the_name_and_not_of_the_address(tmp_path):
    serving, trusting = tls_of("shop.example", tmp_path)
    with http_server(serving) as server:
        here = names(["127.0.0.1"])

        def reach(host: str, **options):
            return post(f"https://{host}:{server.port}/", local_hosts=(host,), resolve=here, **options).status_code

        assert reach("shop.example", tls=trusting) == 200
        for host, options in (("other.example", {"tls": trusting}), ("shop.example", {}), ("127.0.0.1", {})):
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                reach(host, **options)
        assert [request.headers["host"] for request in server.requests] == [f"shop.example:{server.port}"]


def tls_of(name: str, folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a new certificate of a name, and a client's that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, private)
    return serving, ssl.create_default_context(cafile=certificate)
