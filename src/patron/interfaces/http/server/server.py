"""`patron serve`: collector, API and console, on this machine or behind TLS."""

import errno
import gc
import os
import resource
import signal
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from patron.commands.access.manage_users import setup_path
from patron.commands.outreach.messages.send_campaign import SENDER
from patron.interfaces.cli import output
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server.bounded_connection import BoundedConnection
from patron.interfaces.http.server.collector_protocol import App, CollectorProtocol
from patron.interfaces.http.server.connection_limits import ConnectionLimits, OpenConnections
from patron.interfaces.http.server.forwarded_headers import ForwardedHeaders
from patron.interfaces.http.server.listening import LOOPBACK, Certificate, require_place
from patron.schema.access.access_rights import VISITOR
from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence
from patron.service.campaign_sender import CampaignSender
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionProcess
from patron.service.digest_sender import DigestSender
from patron.service.journey_process import JourneyProcess
from patron.service.run_timer import RunTimer
from patron.service.webhook_sender import WebhookSender
from patron.storage.outreach.approved_terms import pin_all_earlier_approvals
from patron.storage.settings import CollectSettings
from patron.storage.shop import Shop

NO_SHARED_INBOX = Sentence("no_shared_inbox", "no other process shares this inbox")
CANNOT_LISTEN = Sentence("cannot_listen", "cannot listen on {host} ({cause})")
SET_INBOX_URL = Sentence("set_inbox_url", "Set inbox_url to a PostgreSQL database.")
PORT_IN_USE = Sentence("port_in_use", "port {port} is in use")
NAME_LISTEN_ADDRESS = Sentence("name_listen_address", "Name an address of this machine, or 0.0.0.0.")
NAME_PORT = Sentence("name_port", "Name another: --port 8322.")

LIMITS = ConnectionLimits()
FILES = 256
"""Files that the server opens besides connections: the lake, the inbox, the store."""

ANSWER_SECONDS = 10
"""How long requests that are on their way may take once the server is to end."""
END_SECONDS = 25.0
"""How long everything may take once the server is to end: who started it kills it after 30 seconds or more."""


def serve(
    shop: Shop,
    *,
    host: str,
    port: int,
    accept_only: bool = False,
    is_demo: bool = False,
    certificate: Certificate | None = None,
) -> None:
    """Serve until interrupted or terminated (SIGTERM).

    With `accept_only` another process moves what was accepted, which only an inbox on a server makes sense of; a demo
    is read without a sign-in. Raises SettingsError for a place that is not safe or in use.
    """
    require_place(shop, host, certificate, is_demo=is_demo)
    if accept_only and not shop.settings.inbox_url:
        raise SettingsError(NO_SHARED_INBOX, where="--accept-only", todo=SET_INBOX_URL)
    listener = _listen(host, port)
    at = f"{'https' if certificate else 'http'}://{host}:{listener.getsockname()[1]}"
    # why: uvicorn sends a signal again when it has ended; a terminated process would not come to `finally`
    signal.signal(signal.SIGTERM, _ended)
    collector = Collector(shop, None if accept_only else CompactionProcess(shop.folder))
    collector.start()
    senders = (
        *(CampaignSender(shop, _now), JourneyProcess(shop, _now), RunTimer(shop, _now)),
        *(WebhookSender(shop, _now), DigestSender(shop, _now)),
    )
    if not accept_only:
        pin_all_earlier_approvals(shop, by=SENDER, at=_now())
    for sender in () if accept_only else senders:
        sender.start()
    try:
        at = shop.settings.access.public_url if host != LOOPBACK else at
        output.say(f"Console: {at}/   API: {at}/openapi.json   Collector: {at}/v1/batch   Stop with Ctrl-C.")
        if not is_demo and (path := setup_path(shop, now=datetime.now(UTC))):
            output.say(f"Set up the first account, within 24 hours: {at}{path}")
        application: App = CollectorProtocol(
            collector, create_app(shop, collector, visitor=VISITOR if is_demo else None)
        )
        if not shop.settings.collect.proxies:
            application = ForwardedHeaders(application)
        files: dict[str, Any] = {}
        if certificate:
            files = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key}
        run_server(server_config(application, shop.settings.collect, **files), listener)
    finally:
        for sender in senders:
            sender.stop()
        collector.stop()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # why: the address that is said next answers at once
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(PORT_IN_USE(port=port), where="--port", todo=NAME_PORT) from error
        what = CANNOT_LISTEN(host=host, cause=error.strerror or error)
        raise SettingsError(what, where="--host", todo=NAME_LISTEN_ADDRESS) from error
    return listener


def run_server(config: uvicorn.Config, listener: socket.socket) -> None:
    """Answer what arrives at a listener until the process is interrupted or terminated."""
    gc.collect()
    gc.freeze()  # why: each full collection would search the modules again, and all requests wait 0.1 to 0.4 s for it
    EndingServer(config).run(sockets=[listener])


class EndingServer(uvicorn.Server):
    """Ends within a bounded time of being asked to, whatever its threads do."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, and end at once where that takes too long: what was accepted is on disk already."""
        timer = threading.Timer(END_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        super().handle_exit(sig, frame)


def server_config(
    application: App, settings: CollectSettings, limits: ConnectionLimits = LIMITS, **options: Any
) -> uvicorn.Config:
    """Configuration of the server: what a client may take, and whose word is taken for where a request is from."""
    limits = replace(limits, connections=min(limits.connections, _allowed_connections(limits)))
    limits = replace(limits, connections_per_peer=max(1, int(limits.connections * settings.peer_share)))
    connections = OpenConnections(limits, settings.proxies)
    return uvicorn.Config(
        application,
        http=cast("Any", partial(BoundedConnection, connections=connections)),
        ws="none",
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=ANSWER_SECONDS,
        log_level="warning",
        access_log=False,  # why: the collector's requests would make a log of who was where
        **options,
    )


def _allowed_connections(limits: ConnectionLimits) -> int:
    """How many connections the system lets us open, next to files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + limits.reserved_connections + FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - limits.reserved_connections - FILES)


def _now() -> datetime:
    return datetime.now(UTC)


def _ended(*_signal: object) -> None:
    """End as one who was asked to, which is no failure."""
    raise SystemExit(0)
