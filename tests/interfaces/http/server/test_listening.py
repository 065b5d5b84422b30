"""Beyond this machine people come by TLS, to a name that is known; the cookie of a session knows how they came."""

import datetime as dt
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from socket import create_server

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from patron.govern.access import users
from patron.govern.access.user_sessions import Browser, create_session
from patron.govern.access.users import Access
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server import server
from patron.interfaces.http.server.listening import Certificate, Place, _listen, claim_place, require_place
from patron.interfaces.http.server.server import server_config
from patron.schema.access.access_rights import Role
from patron.schema.errors import SettingsError, WorkspaceBusy
from patron.service.answer_process import AnswerProcesses
from patron.service.campaign_sender import CampaignSender
from patron.service.collector import Collector
from patron.service.digest_sender import DigestSender
from patron.service.journey_process import JourneyProcess
from patron.service.run_timer import RunTimer
from patron.service.webhook_sender import WebhookSender
from patron.storage.shop import SETTINGS_FILE, Shop

NOW = dt.datetime.now(dt.UTC)
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nobody listens there in these tests
ACCESS = '\n[access]\npublic_url = "https://crm.example"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_MASTER_KEY", "ab" * 32)
    Shop.create(tmp_path / "shop").close()
    return tmp_path / "shop"


@contextmanager
def opened(folder, *, more="", user=False):
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text() + more)
    shop = Shop.open(folder)
    if user:
        with shop.store.begin() as connection:
            user_id = users.add_user(connection, "ada@example.com", "Ada", Access((Role.ADMIN,)), by="test", at=NOW)
            users.change_user(connection, user_id, state="active")
    yield shop
    shop.close()


def test_the_server_listens_elsewhere_only_with_users_a_name_and_tls(folder, tmp_path):
    tls = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    with opened(folder) as shop, pytest.raises(SettingsError, match="no user yet"):
        require_place(shop, Place(host=EVERYWHERE, port=0, certificate=tls))
    with opened(folder, user=True) as shop, pytest.raises(SettingsError, match="the host name of the console"):
        require_place(shop, Place(host=EVERYWHERE, port=0, certificate=tls))
    with opened(folder, more=ACCESS) as shop:
        with pytest.raises(SettingsError, match="without TLS"):
            require_place(shop, Place(host=EVERYWHERE, port=0))
        require_place(shop, Place(host=EVERYWHERE, port=0, certificate=tls))
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text().replace("[collect]\n", '[collect]\nproxies = ["10.0.0.2"]\n', 1))
    with opened(folder) as shop:
        require_place(shop, Place(host=EVERYWHERE, port=0))


def test_a_demo_stays_on_this_machine_and_is_no_real_shop(folder):
    with opened(folder) as shop, pytest.raises(SettingsError, match="is not a demo's"):
        require_place(shop, Place(port=0, is_demo=True))
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text().replace("[shop]\n", "[shop]\nis_demo = true\n", 1))
    with opened(folder) as shop:
        require_place(shop, Place(port=0, is_demo=True))
        with pytest.raises(SettingsError, match="only on this machine"):
            require_place(shop, Place(host=EVERYWHERE, port=0, is_demo=True))


UNUSABLE = [
    (("192.0.2.1", 0), "--host 192.0.2.1: cannot listen on 192.0.2.1", "an address of this machine"),
    (("2001:db8::1", 0), "--host 2001:db8::1", "an address of this machine"),
    (("fe80::1%nowhere", 0), "--host fe80::1%nowhere", "an address of this machine"),
    (("[::1]", 0), "--host [::1]", "an address of this machine"),
    (("a..b", 0), "--host a..b", "an address of this machine"),
    (("a\0b", 0), "--host a\0b", "an address of this machine"),
    (("x" * 300, 0), "--host xxx", "an address of this machine"),
]


@pytest.mark.parametrize(("at", "what", "todo"), UNUSABLE, ids=[repr(at[0][:20]) for at, *_ in UNUSABLE])
def test_a_place_that_is_not_of_this_machine_is_refused_in_a_sentence(at, what, todo):
    with pytest.raises(SettingsError) as refused:
        _listen(*at)
    assert str(refused.value).startswith(what)
    assert todo in refused.value.todo


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", EVERYWHERE),
        (EVERYWHERE, "127.0.0.1"),
        ("::1", "::1"),
        ("::1", "::"),
        ("127.0.0.1", "::"),
    ],
)
def test_a_port_that_is_in_use_is_said_at_once_whatever_overlaps(taken, named):
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with create_server((taken, 0), family=family) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"^--port {port}: port {port} is in use. Stop what listens there"):
            _listen(named, port)


LOW_PORT = """
import os
from patron.interfaces.http.server.listening import _listen
from patron.schema.errors import SettingsError
from pathlib import Path

port = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) - 1
_listen("127.0.0.1", 0).close()  # why: what it imports, the other user may not read
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    _listen("127.0.0.1", port) if port > 0 else print("every port is everybody's")
except SettingsError as error:
    print(error)
"""


def test_a_port_that_needs_a_right_is_not_called_a_wrong_address():
    said = subprocess.run([sys.executable, "-c", LOW_PORT], capture_output=True, text=True, check=True).stdout
    assert "this user may not listen on port" in said or "every port" in said
    assert "CAP_NET_BIND_SERVICE" in said or "every port" in said


def test_a_workspace_has_one_server_and_others_that_only_accept(folder):
    with opened(folder) as shop, opened(folder) as again:
        with claim_place(shop, Place(port=0)), pytest.raises(WorkspaceBusy) as refused:  # noqa: SIM117
            with claim_place(again, Place(port=0)):
                pass
        assert "another `patron serve` serves this workspace" in str(refused.value)
        with claim_place(again, Place(port=0)) as listener:  # the other one has ended
            assert listener.getsockname()[1]


def test_a_certificate_that_cannot_be_used_is_refused_in_a_sentence(tmp_path):
    files = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    chain, other_key = files["ssl_certfile"], certificate(tmp_path / "other")["ssl_keyfile"]
    refusals = {
        (chain, other_key): "cannot be used with the key",
        (chain, locked_key(files["ssl_keyfile"])): "the key without a pass phrase",
        (other_key, chain): "both in PEM format",
        (chain, None): "a certificate needs its key",
    }
    for (given_chain, given_key), sentence in refusals.items():
        with pytest.raises(SettingsError, match=sentence):
            Certificate.of(given_chain, given_key)


def test_a_server_that_cannot_start_ends_at_once_and_has_begun_nothing(folder, tmp_path):
    """As processes: what they say, how they end, what they leave."""
    files = certificate(tmp_path)
    locked = locked_key(files["ssl_keyfile"])
    before = {path.name for path in folder.iterdir()}
    with create_server(("127.0.0.1", 0)) as taken:
        refusals = {
            ("--port", str(taken.getsockname()[1])): "is in use",
            ("--certificate", files["ssl_certfile"], "--certificate-key", locked): "the key without a pass phrase",
        }
        for options, sentence in refusals.items():
            command = [sys.executable, "-m", "patron", "serve", "--workspace", folder, "--port", "0", *options]
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert (ran.returncode, ran.stdout) == (1, ""), options
            assert sentence in ran.stderr, options
            assert "Traceback" not in ran.stderr, options
    assert {path.name for path in folder.iterdir()} - before <= {"locks"}, "the inbox belongs to a server that runs"


def test_what_a_server_cannot_serve_is_known_before_anything_works_in_the_background(folder, monkeypatch):
    begun = []
    for kind in (Collector, AnswerProcesses, CampaignSender, JourneyProcess, RunTimer, WebhookSender, DigestSender):
        monkeypatch.setattr(kind, "start", begun.append)
    monkeypatch.setattr(server, "create_app", lambda *_args, **_options: 1 / 0)
    place = Place(port=0)
    with opened(folder) as shop, claim_place(shop, place) as listener, pytest.raises(ZeroDivisionError):
        server.serve(shop, place, listener)
    assert begun == []


def locked_key(path):
    """The same key under a pass phrase."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    sealed = serialization.BestAvailableEncryption(b"secret")
    locked = path.with_name("locked.pem")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))
    return locked


def certificate(folder):
    """A certificate of our own making."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + dt.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("crm.example")])
    signed = made.add_extension(names, critical=True).sign(key, hashes.SHA256())
    (folder / "chain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
    return {"ssl_certfile": folder / "chain.pem", "ssl_keyfile": folder / "key.pem"}


@contextmanager
def serving(shop, **options):
    running = uvicorn.Server(server_config(create_app(shop), shop.settings.collect, lifespan="off", **options))
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        running.should_exit = True
        thread.join(10)


def ask(port, path, *, cookie, tls=None, **headers):
    """Status, headers and JSON of an answer."""
    kind, options = (http.client.HTTPSConnection, {"context": tls}) if tls else (http.client.HTTPConnection, {})
    connection = kind("127.0.0.1", port, timeout=10, **options)
    sent = {"host": "crm.example", "cookie": cookie} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection.request("GET", path, headers=sent)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, json.loads(body)


def session_of_admin(shop):
    with shop.store.begin() as connection:
        user = users.list_users(connection)[0]
        now = dt.datetime.now(dt.UTC)  # why: NOW is long past where the tests before took long
        return create_session(connection, user.user_id, Browser("", ""), has_second_factor=False, at=now)


def test_over_https_browsers_stay_with_it_and_the_cookie_is_one_that_no_other_site_sets(folder, tmp_path):
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with opened(folder, more=ACCESS, user=True) as shop, serving(shop, **certificate(tmp_path)) as port:
        secret = session_of_admin(shop)
        status, headers, account = ask(port, "/api/account", tls=trusting, cookie=f"__Host-patron_session={secret}")
        assert (status, account["user"]["email"]) == (200, "ada@example.com")
        assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert ask(port, "/api/account", tls=trusting, cookie=f"patron_session={secret}")[0] == 401
        for host in ("other.example", "other.example\\@crm.example", "ada@crm.example", "crm.example:x", ""):
            assert ask(port, "/health", tls=trusting, cookie="", host=host)[0] == 400, host


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_proxy_says_how_somebody_came_if_it_is_ours(folder, is_trusted):
    proxies = ["127.0.0.1" if is_trusted else "10.0.0.2"]
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text().replace("[collect]\n", f"[collect]\nproxies = {json.dumps(proxies)}\n", 1))
    with opened(folder, more=ACCESS, user=True) as shop, serving(shop) as port:
        cookie = f"__Host-patron_session={session_of_admin(shop)}"
        forwarded = {"x_forwarded_proto": "https", "x_forwarded_for": "192.0.2.7"}
        status, headers, _ = ask(port, "/api/account", cookie=cookie, **forwarded)
        assert status == (200 if is_trusted else 401)
        assert ("strict-transport-security" in headers) == is_trusted
        assert ask(port, "/metrics", cookie="", **forwarded)[0] == 401, "whoever a proxy stands for is not this machine"
