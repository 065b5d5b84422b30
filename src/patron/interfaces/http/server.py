"""`patron serve`: collector, API and console on this machine only."""

import gc
import resource
import signal
import socket
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import uvicorn

from patron.interfaces.cli import output
from patron.interfaces.http.application import create_app
from patron.interfaces.http.bounded_connection import BoundedConnection
from patron.interfaces.http.collector_protocol import App, CollectorProtocol
from patron.interfaces.http.connection_limits import ConnectionLimits, OpenConnections
from patron.schema.errors import SettingsError
from patron.service.campaign_sender import CampaignSender
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionProcess
from patron.service.journey_process import JourneyProcess
from patron.service.run_timer import RunTimer
from patron.storage.settings import CollectSettings
from patron.storage.shop import Shop

LOOPBACK = "127.0.0.1"
LIMITS = ConnectionLimits()
FILES = 256
"""Files that the server opens besides connections: the lake, the inbox, the store."""


def serve(shop: Shop, *, host: str, port: int, accept_only: bool = False) -> None:
    """Serve until interrupted or terminated (SIGTERM). Raises SettingsError for another host or a port in use.

    With `accept_only` another process moves what was accepted, which only an inbox on a server makes sense of.
    """
    if host != LOOPBACK:
        raise SettingsError(
            f"cannot listen on {host}", where="--host", todo=f"Use {LOOPBACK}: there is no access control yet."
        )
    if accept_only and not shop.settings.inbox_url:
        raise SettingsError(
            "there is no inbox that others share", where="--accept-only", todo="Set inbox_url to a PostgreSQL database."
        )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # why: the address that is said next answers at once
    except OSError as error:
        listener.close()
        raise SettingsError(f"port {port} is in use", where="--port", todo="Name another: --port 8322.") from error
    at = f"http://{host}:{listener.getsockname()[1]}"
    # why: uvicorn sends a signal again when it has ended; a terminated process would not come to `finally`
    signal.signal(signal.SIGTERM, _ended)
    collector = Collector(shop, None if accept_only else CompactionProcess(shop.folder))
    collector.start()
    senders = (CampaignSender(shop, _now), JourneyProcess(shop), RunTimer(shop, _now))
    for sender in () if accept_only else senders:
        sender.start()
    try:
        output.say(f"Console: {at}/   API: {at}/openapi.json   Collector: {at}/v1/batch   Stop with Ctrl-C.")
        application = CollectorProtocol(collector, create_app(shop, collector))
        run_server(server_config(application, shop.settings.collect), listener)
    finally:
        for sender in senders:
            sender.stop()
        collector.stop()


def run_server(config: uvicorn.Config, listener: socket.socket) -> None:
    """Answer what arrives at a listener until the process is interrupted or terminated."""
    gc.collect()
    gc.freeze()  # why: each full collection would search the modules again, and all requests wait 0.1 to 0.4 s for it
    uvicorn.Server(config).run(sockets=[listener])


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
