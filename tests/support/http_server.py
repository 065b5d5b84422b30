"""A real HTTP server in a thread, which keeps what it took and can fail in every way that a provider does."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it came; names of headers are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """How the server answers a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    late_seconds: float = 0
    raw: bytes | Callable[[], Iterator[bytes]] | None = None
    """Bytes, or parts of them, in place of an answer in HTTP; b"" closes the connection at once."""


@dataclass
class HttpServer:
    """What the server took, and how it answers."""

    answer: Callable[[ReceivedRequest], Answer] = lambda _: Answer()
    requests: list[ReceivedRequest] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """A server on this machine until the end of the block."""
    server = HttpServer(scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ReceivedRequest(self.command, self.path, headers, body)
            server.requests.append(request)
            answer = server.answer(request)
            time.sleep(answer.late_seconds)
            if answer.raw is not None:
                self.close_connection = True
                for part in answer.raw() if callable(answer.raw) else [answer.raw]:
                    self.wfile.write(part)
                return
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 50

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # why: clients that no longer wait are part of the tests

    listening = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
