"""A real SMTP server in a thread, which keeps what it took and can fail in every way that a provider does."""

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP


@dataclass
class MailServer:
    """What the server took, and how it answers. Recipients beginning with a word of `answers` get that answer."""

    answers: dict[str, str] = field(default_factory=dict)
    """Answer to RCPT by the first word of the local part: {"full": "452 4.2.2 mailbox full"}."""
    at_the_end: dict[str, str] = field(default_factory=dict)
    """Answer after the message: an SMTP answer, "drop" for a lost connection, or "late" for none in time."""
    messages: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    late_seconds: float = 1.5
    before_answer: Callable[[int], object] = lambda _count: None
    """Called with the number of the message that was taken, while its sender waits for the answer."""
    port: int = 0

    async def handle_RCPT(self, server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        """Answer RCPT."""
        answer = self.answers.get(address.split("-")[0])
        if answer == "drop":
            server.transport.abort()
            return "451 never read"
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        """Answer the end of a message."""
        answer = self.at_the_end.get(envelope.rcpt_tos[0].split("-")[0])
        if answer and answer[0].isdigit():
            return answer
        self.messages.append(envelope.original_content)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        await asyncio.to_thread(self.before_answer, len(self.messages))
        if answer == "drop":
            server.transport.abort()
        if answer == "late":
            await asyncio.sleep(self.late_seconds)
        return "250 OK"

    def recipients(self) -> list[str]:
        """Everybody a message was taken for."""
        return [one for _, to in self.envelopes for one in to]


@contextmanager
def mail_server(**options) -> Iterator[MailServer]:
    """A server on this machine until the end of the block."""
    server, loop, connections = MailServer(), asyncio.new_event_loop(), []

    def connect() -> SMTP:
        connections.append(SMTP(server, loop=loop, hostname="test", **options))
        return connections[-1]

    listening = loop.run_until_complete(loop.create_server(connect, "127.0.0.1", 0))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        if "tls_context" in options:  # why: what an upgraded connection leaves is collected here, not in a later test
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
