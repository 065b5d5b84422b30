"""Answers what is read of the last run, for the server that started it: `service/answer_process.py`.

    python -m patron.interfaces.http.server.answer_server WORKSPACE SOCKET [--demo]

It listens at a Unix socket of this name once it is ready, and ends when its input is closed.
"""

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from patron.interfaces.http.application import Part, create_app
from patron.interfaces.http.server.server import ANSWER_SECONDS, run_server
from patron.schema.access.access_rights import VISITOR
from patron.schema.errors import SettingsError
from patron.storage.shop import Shop

READ_BYTES = 65_536
TURN_SECONDS = 0.005
"""Python's own, longer than the server's: nobody here waits for less, and each turn costs."""


class ReloadSettings:
    """ASGI middleware: reload changed settings before each request."""

    def __init__(self, app: ASGIApp, shop: Shop) -> None:
        self.app = app
        self.shop = shop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ever."""
        with suppress(SettingsError):  # why: as they were, until they are right again; the collector says so
            self.shop.reload_settings()
        await self.app(scope, receive, send)


def main(folder: Path, socket_path: Path, *, is_demo: bool) -> None:
    """Answer until the input is closed."""
    shop = Shop.open(folder)
    application = create_app(shop, visitor=VISITOR if is_demo else None, part=Part.ANSWERS)
    config = uvicorn.Config(
        ReloadSettings(application, shop),
        ws="none",
        # why: only the server reaches this socket, and it says who asks
        proxy_headers=True,
        forwarded_allow_ips="*",
        timeout_graceful_shutdown=ANSWER_SECONDS,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    socket_path.unlink(missing_ok=True)  # why: the process before left it
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(socket_path))
    except FileNotFoundError:  # why: the server has ended already, and deleted the folder
        return
    # why only now: where the server has ended already, a socket that is bound later would be left behind
    threading.Thread(target=_exit_when_input_closes, args=(socket_path,), daemon=True).start()
    run_server(config, listener, turn_seconds=TURN_SECONDS)


def _exit_when_input_closes(socket_path: Path) -> None:
    """End as soon as the server has ended, which may have been killed: then nobody else deletes the socket."""
    while os.read(sys.stdin.fileno(), READ_BYTES):
        pass
    with suppress(OSError):
        socket_path.unlink()
        socket_path.parent.rmdir()
    os._exit(0)  # why: nobody waits for an answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), is_demo="--demo" in sys.argv[3:])
