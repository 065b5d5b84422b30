"""Where the server may listen, and what must be in place before anybody but this machine reaches it.

All of it is known before the server itself is imported, and before anything works in the background.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from patron.answers.access.team import people
from patron.schema.common_sentences import NOT_A_FILE, USE_NAMES
from patron.schema.errors import SettingsError, WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.shop import SETTINGS_FILE, Shop
from patron.storage.workspace.work_lock import hold_work_lock

SET_UP_FIRST = Sentence(
    "set_up_first", "Start on 127.0.0.1, open the set-up link and create an account. Then listen elsewhere."
)
SET_PUBLIC_URL = Sentence(
    "set_public_url", 'Set public_url = "https://..." in [access] of patron.toml: other names are refused. {docs}'
)
CERTIFICATE_OR_PROXY = Sentence(
    "certificate_or_proxy",
    "Pass --certificate and --certificate-key, or put a proxy with TLS in front and name its address in proxies of "
    "[collect]. {docs}",
)
LEAVE_DEMO_OUT = Sentence("leave_demo_out", "Leave --demo out; for simulated customers set is_demo = true in {path}.")
DEMO_ONLY_HERE = Sentence("demo_only_here", "a demo answers without a sign-in, and only on this machine")
NOT_A_DEMO = Sentence("not_a_demo", "this workspace is not a demo's: its customers may be real")
NO_USER_YET = Sentence("no_user_yet", "nobody could sign in: there is no user yet")
CONSOLE_NAME_UNKNOWN = Sentence("console_name_unknown", "the host name of the console is not known")
WITHOUT_TLS = Sentence("without_tls", "passwords would travel without TLS")
CERTIFICATE_NEEDS_KEY = Sentence("certificate_needs_key", "a certificate needs its key")
PASS_CERTIFICATE = Sentence("pass_certificate", "Pass --certificate and --certificate-key.")
PASS_PEM = Sentence("pass_pem", "Pass a file in PEM format.")
CERTIFICATE_UNUSABLE = Sentence("certificate_unusable", "cannot be used with the key {key} ({cause})")
PASS_FITTING_PEM = Sentence(
    "pass_fitting_pem", "Pass the certificate and its own key, both in PEM format, the key without a pass phrase."
)
NO_SHARED_INBOX = Sentence("no_shared_inbox", "no other process shares this inbox")
SET_INBOX_URL = Sentence("set_inbox_url", "Set inbox_url to a PostgreSQL database.")
SERVED_ALREADY = Sentence("served_already", "another `patron serve` serves this workspace")
END_OTHER_SERVER = Sentence("end_other_server", "Use that one, or end it first.")
CANNOT_LISTEN = Sentence("cannot_listen", "cannot listen on {host} ({cause})")
NAME_LISTEN_ADDRESS = Sentence("name_listen_address", "Name an address of this machine, or 0.0.0.0.")
PORT_IN_USE = Sentence("port_in_use", "port {port} is in use")
NAME_PORT = Sentence("name_port", "Stop what listens there, or choose another port: --port {port}.")
PORT_IS_RESERVED = Sentence("port_is_reserved", "this user may not listen on port {port}")
NAME_HIGH_PORT = Sentence(
    "name_high_port", "Name a port from 1024 on, such as --port 8321, or give the process CAP_NET_BIND_SERVICE."
)

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8321
PORTS = range(1024, 65536)
"""Ports that every user may listen on."""
DOCS = "See docs/how-to/serve-your-team.md."


@dataclass(frozen=True)
class Certificate:
    """Files by which the server itself speaks HTTPS."""

    chain: Path
    """Certificate and those that signed it, PEM."""
    key: Path

    @classmethod
    def of(cls, chain: Path | None, key: Path | None) -> "Certificate | None":
        """The files, or None without them. Raises SettingsError for one of two, or what cannot be read."""
        if chain is None and key is None:
            return None
        if chain is None or key is None:
            raise SettingsError(CERTIFICATE_NEEDS_KEY, where="--certificate", todo=PASS_CERTIFICATE)
        for path in (chain, key):
            if not path.is_file():
                raise SettingsError(NOT_A_FILE, where=str(path), todo=PASS_PEM)
        try:
            # why a password: the library asks at the terminal for one that a key needs, and waits
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="")
        except OSError as error:
            what = CERTIFICATE_UNUSABLE(key=key, cause=error.strerror or error)
            raise SettingsError(what, where=str(chain), todo=PASS_FITTING_PEM) from error
        return cls(chain, key)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how a workspace is served."""

    host: str = LOOPBACK
    port: int
    certificate: Certificate | None = None
    is_demo: bool = False
    """Whether it is read without a sign-in."""
    accept_only: bool = False
    """Whether another process moves what was accepted, which only an inbox on a server makes sense of."""


@contextmanager
def claim_place(shop: Shop, place: Place) -> Iterator[socket.socket]:
    """Be the only server of a workspace, at a socket that listens.

    Raises SettingsError for a place that is not safe, not ours or in use; WorkspaceBusy where another one serves.
    """
    require_place(shop, place)
    if place.accept_only and not shop.settings.inbox_url:
        raise SettingsError(NO_SHARED_INBOX, where="--accept-only", todo=SET_INBOX_URL)
    with ExitStack() as stack:
        if not place.accept_only:  # why: several may accept; senders, runs and the way into the lake are one server's
            busy = WorkspaceBusy(SERVED_ALREADY, where=str(shop.folder), todo=END_OTHER_SERVER)
            stack.enter_context(hold_work_lock(shop.folder, "serve", "", busy))
        yield stack.enter_context(_listen(place.host, place.port))


def require_place(shop: Shop, place: Place) -> None:
    """Refuse to listen where people could be reached without a sign-in or without TLS. Raises SettingsError.

    A demo is for a workspace whose customers are nobody, and for this machine.
    """
    if place.is_demo:
        _require_demo(shop, place.host)
    elif place.host != LOOPBACK:
        _require_team(shop, place.host, place.certificate)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        # why looked up: a link-local address counts with the number of its interface
        [*_, address] = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener.bind(address)
        listener.listen()  # why: the address that is said next answers at once
    except (OSError, ValueError) as error:
        listener.close()
        raise _listen_refusal(error, host, port) from error
    return listener


def _listen_refusal(error: Exception, host: str, port: int) -> SettingsError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        free = port + 1 if port + 1 in PORTS else DEFAULT_PORT
        return SettingsError(PORT_IN_USE(port=port), where=f"--port {port}", todo=NAME_PORT(port=free))
    if number == errno.EACCES:
        return SettingsError(PORT_IS_RESERVED(port=port), where=f"--port {port}", todo=NAME_HIGH_PORT)
    cause = (isinstance(error, OSError) and error.strerror) or error
    return SettingsError(CANNOT_LISTEN(host=host, cause=cause), where=f"--host {host}", todo=NAME_LISTEN_ADDRESS)


def _require_demo(shop: Shop, host: str) -> None:
    if host != LOOPBACK:
        raise SettingsError(DEMO_ONLY_HERE, where="--host", todo=USE_NAMES(names=LOOPBACK))
    if not shop.settings.shop.is_demo:
        todo = LEAVE_DEMO_OUT(path=shop.folder / SETTINGS_FILE)
        raise SettingsError(NOT_A_DEMO, where="--demo", todo=todo)


def _require_team(shop: Shop, host: str, certificate: Certificate | None) -> None:
    where = f"--host {host}"
    if not any(user.state == "active" for user in people(shop)):
        raise SettingsError(NO_USER_YET, where=where, todo=SET_UP_FIRST)
    if not shop.settings.access.public_url:
        raise SettingsError(CONSOLE_NAME_UNKNOWN, where=where, todo=SET_PUBLIC_URL(docs=DOCS))
    if certificate is None and not shop.settings.collect.proxies:
        raise SettingsError(WITHOUT_TLS, where=where, todo=CERTIFICATE_OR_PROXY(docs=DOCS))
