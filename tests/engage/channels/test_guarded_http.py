"""The guarded client reaches public servers and those that the settings allow, whatever a name says."""

import asyncio
import gzip
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from http_server import Answer, http_server
from patron.engage.channels.guarded_http import MAX_BYTES, NOT_SENT, GuardedClient
from patron.engage.channels.public_addresses import (
    GLOBAL_UNICAST,
    NETWORKS,
    SPECIAL_BLOCKS,
    is_address,
    is_public,
)

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


async def ask_nobody(host: str, _port: int) -> list[str]:
    raise AssertionError(f"{host} is an address, of which no resolver is asked")


SPELLINGS = [
    *(
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.0.0.1",
        "0x7F000001",
        "0X7f.1",
        "0177.0.0.1",
        "017700000001",
    ),
    *(
        "0",
        "0x0",
        "00",
        "0x",
        "127.0.0.1.",
        "2130706433.",
        "0x7f.1.",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ),
    *(
        "0x5db8d822",
        "1572395042",
        "93.184.216",
        "093.184.216.034",
        "93.184.216.34.",
        "1.2.3.4.5",
        "256.1.1.1",
        "shop.1",
    ),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
    *("[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[0:0::1]"),
    *("[64:ff9b::a00:1]", "[64:ff9b::127.0.0.1]", "[2002:a00:1::]", "[2001:0:a00:1::]", "[2001:db8::1]"),
    *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[2600::5efe:127.0.0.1]", "[fe80::1%25lo]", "[2606:4700::1%25lo]"),
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_an_address_that_is_not_public_or_not_plain_is_refused_without_a_question(host):
    with pytest.raises(NOT_SENT):
        post(f"https://{host}/", timeout_seconds=2, resolve=ask_nobody)


def test_names_are_resolved_whatever_digits_they_have():
    assert not any(map(is_address, ("shop.example", "1.example", "0x7f.example", "1.2.3.4.example", "4chan.org", "a1")))
    for host in ("localhost", "localhost.", "ip6-localhost", "127.0.0.1.nip.example"):
        with pytest.raises(httpx.ConnectError, match="not public"):
            post(f"https://{host}/", resolve=names(["127.0.0.1"]))


@pytest.mark.parametrize("block", SPECIAL_BLOCKS, ids=lambda block: block.network)
def test_no_address_of_a_special_block_is_public(block):
    network = ip_network(block.network)
    assert block.source.startswith("RFC ") or block.source == "Microsoft Azure"
    for ip in (network[0], network[-1], network[network.num_addresses // 2]):
        assert not is_public(str(ip))
        assert not is_public(ip.exploded)
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if not 0 <= number < 2**network.max_prefixlen:
            continue
        ip = type(network[0])(number)
        is_listed = any(ip in one for one in NETWORKS)
        assert is_public(str(ip)) == (not is_listed and (ip.version == 4 or ip in GLOBAL_UNICAST))


def test_the_table_has_every_block_that_the_library_knows():
    known = {*ipaddress._IPv4Constants._private_networks, *ipaddress._IPv6Constants._private_networks}
    missing = {one for one in known if not any(one.version == two.version and one.subnet_of(two) for two in NETWORKS)}
    assert missing == set()
    assert len(set(NETWORKS)) == len(SPECIAL_BLOCKS)


GIVEN_OUT = ("8.8.8.8", "93.184.216.34", "192.0.1.1", "168.63.129.17", "192.88.98.1", "2606:4700::1", "2a00:1450::1")
GIVEN_OUT += ("64:ff9b::8.8.8.8", "2600::5efe:8.8.8.8")


@pytest.mark.parametrize("address", [*GIVEN_OUT, "4000::1"])
def test_other_addresses_are_public_where_iana_gives_them_out(address):
    assert is_public(address) == (address != "4000::1")


@given(st.ip_addresses(v=4))
@settings(max_examples=200)
def test_an_address_is_no_more_public_in_another_form(ip):
    is_refused = ip.is_private or ip.is_multicast or ip.is_reserved or not ip.is_global
    assert not (is_refused and is_public(str(ip)))
    assert is_public(f"64:ff9b::{ip}") == is_public(f"2600::5efe:{ip}") == is_public(str(ip))
    halves = f"{int(ip) >> 16:x}:{int(ip) & 0xFFFF:x}"
    for form in (
        f"::ffff:{ip}",
        f"::ffff:0:{ip}",
        f"::{ip}",
        f"2002:{halves}::1",
        f"2001:0:{halves}::",
        f"64:ff9b:1::{ip}",
    ):
        assert not is_public(form)


def test_a_name_with_one_private_address_is_refused(server):
    url = f"https://shop.example:{server.port}/"
    for addresses in (["93.184.216.34", "127.0.0.1"], ["127.0.0.1"], ["2606:4700::1", "::1"], ["fe80::1%lo"], []):
        with pytest.raises(httpx.ConnectError):
            post(url, resolve=names(addresses))
    assert not server.requests


class NameServer(asyncio.DatagramProtocol):
    """A name server on loopback that answers each question for an address in turn, and the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions = list(answers), []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.questions.append(data[12:-4])
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        head = data[:2] + bytes.fromhex("8180000100010000 0000")
        record = bytes.fromhex("c00c000100010000 00000004") + ip_address(address).packed  # of no lifetime
        self.transport.sendto(head + data[12:] + record, addr)

    async def resolve(self, host: str, _port: int) -> list[str]:
        """Addresses of a name by a question to this server."""
        loop, answered = asyncio.get_running_loop(), asyncio.Queue()

        class Asking(asyncio.DatagramProtocol):
            def datagram_received(self, data, _addr):
                answered.put_nowait(data)

        at = self.transport.get_extra_info("sockname")
        asking, _ = await loop.create_datagram_endpoint(Asking, remote_addr=at)
        name = b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0"
        asking.sendto(bytes.fromhex("abcd01000001000000000000") + name + bytes.fromhex("00010001"))
        answer = await asyncio.wait_for(answered.get(), 5)
        asking.close()
        return [str(ip_address(answer[-4:]))]


async def with_names(exchange, *answers: str) -> NameServer:
    """Do something with a name server, which is returned."""
    server = NameServer(*answers)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        await exchange(server.resolve)
    finally:
        transport.close()
    return server


def test_a_name_that_answers_differently_later_leads_nowhere_else():
    connected = []

    class Sockets:
        async def connect_tcp(self, host, port, *_):
            connected.append((host, port))
            raise OSError

    async def exchange(resolve):
        async with GuardedClient(resolve=resolve) as client:
            client._backend._sockets = Sockets()  # why: no test connects to what is public
            for _ in range(3):
                with pytest.raises(httpx.ConnectError):
                    await client.post("https://shop.example/")

    asked = asyncio.run(with_names(exchange, "203.0.114.1", "127.0.0.1", "10.0.0.1"))
    assert connected == [("203.0.114.1", 443)]  # why: the address that was checked, and no second question for it
    assert len(asked.questions) == 3, "one for each connection"


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
