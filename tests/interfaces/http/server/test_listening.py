"""Beyond this machine people come by TLS, to a name that is known; the cookie of a session knows how they came."""

import datetime as dt
import http.client
import json
import ssl
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
from patron.interfaces.http.server.listening import Certificate, require_place
from patron.interfaces.http.server.server import server_config
from patron.schema.access.access_rights import Role
from patron.schema.errors import SettingsError
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
        require_place(shop, EVERYWHERE, tls, is_demo=False)
    with opened(folder, user=True) as shop, pytest.raises(SettingsError, match="the host name of the console"):
        require_place(shop, EVERYWHERE, tls, is_demo=False)
    with opened(folder, more=ACCESS) as shop:
        with pytest.raises(SettingsError, match="without TLS"):
            require_place(shop, EVERYWHERE, None, is_demo=False)
        require_place(shop, EVERYWHERE, tls, is_demo=False)
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text().replace("[collect]\n", '[collect]\nproxies = ["10.0.0.2"]\n', 1))
    with opened(folder) as shop:
        require_place(shop, EVERYWHERE, None, is_demo=False)


def test_a_demo_stays_on_this_machine_and_is_no_real_shop(folder):
    with opened(folder) as shop, pytest.raises(SettingsError, match="is not a demo's"):
        require_place(shop, "127.0.0.1", None, is_demo=True)
    path = folder / SETTINGS_FILE
    path.write_text(path.read_text().replace("[shop]\n", "[shop]\nis_demo = true\n", 1))
    with opened(folder) as shop:
        require_place(shop, "127.0.0.1", None, is_demo=True)
        with pytest.raises(SettingsError, match="only on this machine"):
            require_place(shop, EVERYWHERE, None, is_demo=True)


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
    server = uvicorn.Server(server_config(create_app(shop), shop.settings.collect, lifespan="off", **options))
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
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
        return create_session(connection, user.user_id, Browser("", ""), has_second_factor=False, at=NOW)


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
