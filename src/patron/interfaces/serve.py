"""`patron serve`: console and API on this machine only."""

import socket

import uvicorn

from patron.base.errors import SettingsError
from patron.base.shop import Shop
from patron.interfaces.api import create_app
from patron.interfaces.cli import output

LOOPBACK = "127.0.0.1"


def serve(shop: Shop, *, host: str, port: int) -> None:
    """Serve until interrupted. Raises SettingsError for another host or a port in use."""
    if host != LOOPBACK:
        raise SettingsError(
            f"cannot listen on {host}", where="--host", todo=f"Use {LOOPBACK}: there is no access control yet."
        )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # why: the address that is said next answers at once
    except OSError as error:
        listener.close()
        raise SettingsError(f"port {port} is in use", where="--port", todo="Name another: --port 8322.") from error
    output.say(f"Console: http://{host}:{listener.getsockname()[1]}/   API: /openapi.json   Stop with Ctrl-C.")
    server = uvicorn.Server(uvicorn.Config(create_app(shop), log_level="warning"))
    server.run(sockets=[listener])
