"""`patron serve`: collector, API and console, on this machine or behind TLS."""

import gc
import os
import resource
import signal
import socket
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from altair.utils.schemapi import disable_debug_mode

from patron.commands.access.manage_users import setup_path
from patron.commands.outreach.messages.send_campaign import SENDER
from patron.interfaces.charts.drawing_process import draw_in_own_process
from patron.interfaces.cli import output
from patron.interfaces.http.application import Part, create_app
from patron.interfaces.http.server.answer_forwarding import AnswerForwarding
from patron.interfaces.http.server.bounded_connection import BoundedConnection
from patron.interfaces.http.server.collector_protocol import App, CollectorProtocol
from patron.interfaces.http.server.connection_limits import ConnectionLimits, OpenConnections
from patron.interfaces.http.server.forwarded_headers import ForwardedHeaders
from patron.interfaces.http.server.listening import LOOPBACK, Place
from patron.schema.access.access_rights import VISITOR
from patron.service.answer_process import AnswerProcesses
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

LIMITS = ConnectionLimits()
_TERMINATED = threading.Event()
"""Set once the process was told to end (SIGTERM), also before it answers."""
FILES = 256
"""Files that the server opens besides connections: the lake, the inbox, the store."""

TURN_SECONDS = 0.0005
"""How long one thread computes while another waits for its turn. Every read, write and statement of a thread ends its
turn: with Python's 5 ms the collector took 8,800 instead of 11,800 events a second on a busy machine."""
ANSWER_SECONDS = 10
"""How long requests that are on their way may take once the server is to end."""
END_SECONDS = 25.0
"""How long everything may take once the server is to end: who started it kills it after 30 seconds or more."""


def serve(shop: Shop, place: Place, listener: socket.socket) -> None:
    """Serve at a place that was claimed until interrupted or terminated (SIGTERM).

    Raises SettingsError for a tracking plan that cannot be used, before anything works in the background.
    """
    at = f"{'https' if place.certificate else 'http'}://{place.host}:{listener.getsockname()[1]}"
    collector = Collector(shop, None if place.accept_only else CompactionProcess(shop.folder))
    answers = AnswerProcesses(shop, _now, is_demo=place.is_demo)
    config = _configuration(shop, place, collector, answers)
    beside = (
        *(answers, CampaignSender(shop, _now), JourneyProcess(shop, _now), RunTimer(shop, _now)),
        *(WebhookSender(shop, _now), DigestSender(shop, _now)),
    )
    if not place.accept_only:
        pin_all_earlier_approvals(shop, by=SENDER, at=_now())
    # why: uvicorn sends a signal again when it has ended; a terminated process would not come to `finally`
    signal.signal(signal.SIGTERM, _ended)
    collector.start()
    try:
        for one in () if place.accept_only else beside:
            one.start()
        at = shop.settings.access.public_url if place.host != LOOPBACK else at
        output.say(f"Console: {at}/   API: {at}/openapi.json   Collector: {at}/v1/batch   Stop with Ctrl-C.")
        if not place.is_demo and (path := setup_path(shop, now=datetime.now(UTC))):
            output.say(f"Set up the first account, within 24 hours: {at}{path}")
        run_server(config, listener)
    finally:
        for one in beside:
            one.stop()
        collector.stop()


def _configuration(shop: Shop, place: Place, collector: Collector, answers: AnswerProcesses) -> uvicorn.Config:
    visitor, part = VISITOR if place.is_demo else None, Part.WHOLE if place.accept_only else Part.SERVER
    whole = create_app(shop, collector, visitor=visitor, part=part)
    application: App = CollectorProtocol(collector, AnswerForwarding(whole, answers))
    if not shop.settings.collect.proxies:
        application = ForwardedHeaders(application)
    files: dict[str, Any] = {}
    if place.certificate:
        files = {"ssl_certfile": place.certificate.chain, "ssl_keyfile": place.certificate.key}
    config = server_config(application, shop.settings.collect, **files)
    config.load()  # why: what it cannot use ends the server before anything works in the background
    return config


def run_server(config: uvicorn.Config, listener: socket.socket, *, turn_seconds: float = TURN_SECONDS) -> None:
    """Answer what arrives at a listener until the process is interrupted or terminated."""
    sys.setswitchinterval(turn_seconds)
    disable_debug_mode()  # why: checking each part of a chart takes as long as making it; the tests check every chart
    gc.collect()
    gc.freeze()  # why: each full collection would search the modules again, and all requests wait 0.1 to 0.4 s for it
    with draw_in_own_process():
        EndingServer(config).run(sockets=[listener])


class EndingServer(uvicorn.Server):
    """Ends within a bounded time of being asked to, whatever its threads do."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, unless the server was terminated meanwhile: what was raised then may have got lost in a callback."""
        await super().startup(sockets)
        self.should_exit = self.should_exit or _TERMINATED.is_set()

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
    _TERMINATED.set()
    raise SystemExit(0)
