"""`patron serve`: collector, API and console on this machine only."""

import signal
import socket

import uvicorn

from patron.interfaces.cli import output
from patron.interfaces.http.application import create_app
from patron.interfaces.http.collector_protocol import CollectorProtocol
from patron.schema.errors import SettingsError
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionProcess
from patron.storage.shop import Shop

LOOPBACK = "127.0.0.1"


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
    try:
        output.say(f"Console: {at}/   API: {at}/openapi.json   Collector: {at}/v1/batch   Stop with Ctrl-C.")
        # why: the collector's requests would make a log of who was where
        config = uvicorn.Config(
            CollectorProtocol(collector, create_app(shop, collector)), log_level="warning", access_log=False
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        collector.stop()


def _ended(*_signal: object) -> None:
    """End as one who was asked to, which is no failure."""
    raise SystemExit(0)
