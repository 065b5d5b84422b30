"""A server that is asked to end does so in a bounded time, whatever its threads do."""

import signal
import socket
import subprocess
import sys

SECONDS = 30
"""What who starts servers gives them before they are killed."""
SERVER = """
import sys, threading
from patron.interfaces.http.server import listening, server
from patron.storage.settings import CollectSettings

server.ANSWER_SECONDS, server.END_SECONDS = 1, 2.0

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    print("asked", flush=True)
    threading.Event().wait()

listener = listening._listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
server.run_server(server.server_config(application, CollectSettings()), listener)
"""


def test_a_request_that_never_ends_does_not_keep_the_server():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(SECONDS) == 0
            finally:
                process.kill()
