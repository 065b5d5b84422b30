"""Stands for the process that answers: says its process id to whoever connects, until its input is closed."""

import os
import socket
import sys
import threading
from pathlib import Path


def answer(listener: socket.socket) -> None:
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(str(os.getpid()).encode())


if __name__ == "__main__":
    Path(sys.argv[2]).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(sys.argv[2])
    listening.listen()
    threading.Thread(target=answer, args=(listening,), daemon=True).start()
    sys.stdin.read()
