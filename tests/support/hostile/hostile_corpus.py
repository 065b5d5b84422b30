"""The hostile inputs sent to a server of their own, each through the doors that take such things."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
from tests.support.hostile import hostile_inputs

SERVER = """
import sys
from pathlib import Path
from patron.interfaces.console.screenshots import EVERYBODY, served
from patron.storage.shop import Shop
with served(Shop.open(Path(sys.argv[1])), EVERYBODY) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1
Request = tuple[str, str, str, Callable[[], dict[str, object]]]
"""Door, name of the input, address, and what to send there."""
LARGEST_BODY = 50_000
"""Characters of a template that still fit into a request."""
CAMPAIGN = {
    "name": "hostile",
    "segment": "nobody",
    "topic": "offers",
    "budget": 10.0,
    "start": "2024-03-01T09:00:00",
    "end": "2100-03-15T00:00:00",
}


@dataclass
class Server:
    """A server in a process of its own, and whether it was there all the time."""

    address: str
    process: "subprocess.Popen[str]"
    health_seconds: list[float] = field(default_factory=list)
    """How long /health took, time after time."""
    unanswered: list[str] = field(default_factory=list)

    @property
    def memory(self) -> int:
        """Bytes that the process has in memory; its children are not counted."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Sent:
    """What was sent through a door, and how it was answered."""

    door: str
    name: str
    status: int
    seconds: float
    text: str


@contextmanager
def hostile_server(folder: Path, **settings: str) -> Iterator[Server]:
    """Serve a workspace to somebody who may do everything, and ask for /health all the time; settings by variable."""
    command = [sys.executable, "-c", SERVER, str(folder)]
    pipe, environment = subprocess.PIPE, {**os.environ, **settings}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        server = Server(process.stdout.readline().strip(), process)
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(server, ended), daemon=True)
        watching.start()
        try:
            yield server
        finally:
            ended.set()
            watching.join()
            process.stdin.close()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _watch(server: Server, ended: threading.Event) -> None:
    with httpx.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
        while not ended.wait(POLL_SECONDS):
            began = time.monotonic()
            try:
                status = client.get("/health").status_code
            except httpx.HTTPError as error:
                server.unanswered.append(type(error).__name__)
            else:
                server.health_seconds.append(time.monotonic() - began)
                if status != 200:
                    server.unanswered.append(str(status))


def send_all(server: Server, *, every: int = 1) -> Iterator[Sent]:
    """Send hostile inputs, or one of so many, through every door that takes their kind."""
    with httpx.Client(base_url=server.address, timeout=PATIENCE_SECONDS, follow_redirects=True) as client:
        for number, (door, name, path, content) in enumerate(_requests()):
            if number % every == 0:
                yield _sent(client, door, name, path, **content())


def _requests() -> Iterator[Request]:
    for name, make in hostile_inputs.files().items():
        yield "upload", name, "/ingestion/upload", lambda name=name, make=make: {"files": {"file": (name, make())}}
    for name, (body, body_format) in hostile_inputs.templates(LARGEST_BODY).items():
        template = {"subject": "Hello", "body": body, "format": body_format}
        content = {"json": {"campaign": {**CAMPAIGN, "template": {"en": template}}}}
        yield "campaign", name, "/api/campaigns", lambda content=content: content
    for name, (body, body_format) in hostile_inputs.templates().items():
        template = {"subject": "Hello", "body": body, "format": body_format}
        steps = json.dumps([{"do": "send", "template": {"en": template}}])
        form = {"data": {"steps": steps, "preview": "0:en"}}
        yield "draft of a journey", name, "/journeys/draft/message", lambda form=form: form
        form = {"data": {"subject_en": "Hi", "body_en": body, "format_en": body_format, "preview": "en:html"}}
        yield "draft of a campaign", name, "/campaigns/draft/message", lambda form=form: form
    for name, rule in hostile_inputs.rules().items():
        content = {"content": f'{{"rule":{rule}}}'.encode()}
        yield "count", name, "/api/segments/count", lambda content=content: content
        form = {"data": {"name": "x", "rule": rule, "action": "count"}}
        yield "segment", name, "/segments", lambda form=form: form
        form = {"data": {"name": "x", "steps": f'[{{"do":"branch","rule":{rule}}}]'}}
        yield "steps", name, "/journeys", lambda form=form: form
    for name, sql in hostile_inputs.queries().items():
        form = {"data": {"name": name, "sql": sql}}
        yield "query", name, f"/api/questions/ask?{urlencode({'sql': sql})}", lambda: {"method": "GET"}
        yield "saved query", name, "/explore/save", lambda form=form: form
    for name, text in hostile_inputs.toml_texts().items():
        form = {"data": {"content": text}}
        yield "policy", name, "/offers/text", lambda form=form: form
    for name, body in hostile_inputs.json_bodies().items():
        for path in ("/api/campaigns", "/api/journeys", "/api/customers/lookup"):
            yield path, name, path, lambda body=body: {"content": body}
        form = {"data": {"steps": body, "preview": "0:en"}}
        yield "steps", name, "/journeys/draft/message", lambda form=form: form


def _sent(client: httpx.Client, door: str, name: str, path: str, *, method: str = "POST", **content: object) -> Sent:
    headers = {"content-type": "application/json"} if "content" in content else {}
    began = time.monotonic()
    try:
        answer = client.request(method, path, headers=headers, **content)
    except httpx.HTTPError as error:
        return Sent(door, name, 599, time.monotonic() - began, type(error).__name__)
    return Sent(door, name, answer.status_code, time.monotonic() - began, answer.text)
