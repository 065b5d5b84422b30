"""The processes that answer what is read of the last run, next to the one that collects."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from tests.support.shops.workspace_copies import copy_workspace

from patron.govern.access.user_sessions import Browser, create_session
from patron.govern.access.users import Access, add_user, change_user
from patron.interfaces.console.mount import ROUTERS
from patron.interfaces.http.access.access_control import SESSION_COOKIE
from patron.interfaces.http.application import API_MODULES
from patron.interfaces.http.server.answer_forwarding import AnswerForwarding, reads_last_run
from patron.schema.access.access_rights import Role
from patron.service.answer_process import MAX_PROCESSES, AnswerProcess, AnswerProcesses
from patron.storage.shop import Shop

PATIENCE_SECONDS = 60
PAGES = ("/", "/customers", "/models", "/retention", "/watch-list")


def eventually(find):
    """What `find` finds in time."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := find()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def answering(server):
    """The processes that answer for a server."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            is_it = AnswerProcess.module in (path / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if parent == server.pid and is_it:
            found.add(int(path.name))
    return found


def all_answering(server, gone=frozenset()):
    """All processes that should answer for a server, once they run and none of them is one that is gone."""
    now = answering(server)
    return now if len(now) == min(MAX_PROCESSES, os.cpu_count() or 1) and not now & gone else set()


@pytest.fixture(scope="module")
def served(made_shop, tmp_path_factory):
    """A server as a process, and somebody who is signed in."""
    folder, at = copy_workspace(made_shop.folder, tmp_path_factory.mktemp("answers") / "w"), datetime.now(UTC)
    with closing(Shop.open(folder)) as shop, shop.store.begin() as connection:
        user = add_user(connection, "r@shop.example", "Rita", Access((Role.ANALYST, Role.MARKETER)), by="test", at=at)
        change_user(connection, user, state="active")
        secret = create_session(connection, user, Browser("127.0.0.1", "test"), has_second_factor=True, at=at)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "patron", "serve", "--workspace", str(folder), "--port", str(port)]
    cookies = {SESSION_COOKIE: secret}
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=PATIENCE_SECONDS) as client,
    ):
        try:
            assert eventually(lambda: is_well(client))
            yield SimpleNamespace(process=process, client=client)
        finally:
            process.kill()


def is_well(client):
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_what_is_read_of_the_last_run_is_answered_elsewhere_and_all_else_goes_on_meanwhile(served):
    assert [served.client.get(path).status_code for path in PAGES] == [200] * len(PAGES)
    processes = eventually(lambda: all_answering(served.process))
    assert processes
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        for path in PAGES:
            with pytest.raises(httpx.ReadTimeout):
                served.client.get(path, timeout=0.5)
        assert served.client.get("/health").status_code == 200
        assert served.client.get("/account").status_code == 200
        assert served.client.post("/v1/batch", json={"batch": []}).status_code == 401
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    assert served.client.get("/customers").status_code == 200


@pytest.mark.slow
def test_without_the_process_the_server_answers_itself_until_there_is_another(served):
    gone = eventually(lambda: all_answering(served.process))
    assert gone
    for process in gone:
        os.kill(process, signal.SIGKILL)
    assert eventually(lambda: not answering(served.process) & gone)
    for path in PAGES:
        answer = served.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    others = eventually(lambda: all_answering(served.process, gone))
    assert others
    # the last test of this server: nothing of it is left when it is killed
    served.process.kill()
    served.process.wait()
    assert eventually(lambda: not any(Path(f"/proc/{process}").exists() for process in others))


@contextmanager
def answers_at(folder):
    """What stands for the processes: it says how it was asked."""

    async def said(request):
        headers = [(name, value) for name, value in request.headers.items() if name.startswith(("x-", "cookie"))]
        return JSONResponse({"headers": headers, "url": str(request.url), "client": request.client.host})

    async def parts(_request):
        return StreamingResponse((f"row {number}\n" for number in range(1_000)), headers={"x-of": "file"})

    async def gone(_request):
        return PlainTextResponse("gone", 404)

    routes = [Route("/customers", said), Route("/models", parts), Route("/segments", gone)]
    config = uvicorn.Config(
        Starlette(routes=routes), uds=str(folder / "answers"), log_level="warning", forwarded_allow_ips="*"
    )
    config.date_header = config.server_header = False
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert eventually(lambda: server.started)
    try:
        yield SimpleNamespace(socket_path=folder / "answers", is_available=True)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


@pytest.fixture
def short_folder(tmp_path_factory):
    """The name of a socket has a hundred characters at most."""
    folder = tmp_path_factory.getbasetemp().parent.parent / f"s-{os.getpid()}"
    folder.mkdir(mode=0o700)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


async def itself(scope, receive, send):
    """The application of the server."""
    if scope["type"] == "http":
        await PlainTextResponse("itself")(scope, receive, send)


async def ask(answers, method, path, **more):
    forwarding = AnswerForwarding(itself, answers)
    transport = httpx.ASGITransport(forwarding, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        answer = await client.request(method, path, **more)
    await forwarding({"type": "lifespan"}, None, None)
    return answer


def test_a_request_is_passed_on_with_the_address_and_scheme_that_the_server_saw(short_folder):
    forged = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http", "x-csrf-token": "t", "cookie": "a=b"}
    with answers_at(short_folder) as answers:
        said = asyncio.run(ask(answers, "GET", "/customers?a=%2F%20b&a=c", headers=forged)).json()
    assert said["client"] == "192.0.2.7"
    assert said["url"] == "https://shop.example/customers?a=%2F%20b&a=c"
    assert sorted(map(tuple, said["headers"])) == [
        ("cookie", "a=b"),
        ("x-csrf-token", "t"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
    ]


def test_answers_come_back_whole_with_their_status_and_headers(short_folder):
    with answers_at(short_folder) as answers:
        file = asyncio.run(ask(answers, "GET", "/models"))
        assert (file.text, file.headers["x-of"]) == ("".join(f"row {number}\n" for number in range(1_000)), "file")
        assert not {"transfer-encoding", "connection", "date", "server"} & set(file.headers)
        assert asyncio.run(ask(answers, "GET", "/segments")).status_code == 404
        head = asyncio.run(ask(answers, "HEAD", "/models"))
        assert (head.status_code, head.content, head.headers["x-of"]) == (200, b"", "file")


def test_what_changes_something_or_has_a_body_stays(short_folder):
    with answers_at(short_folder) as answers:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert asyncio.run(ask(answers, method, "/customers")).text == "itself"
        assert asyncio.run(ask(answers, "GET", "/customers", content=b"{}")).text == "itself"
        assert asyncio.run(ask(answers, "GET", "/explore")).text == "itself"


def test_the_server_answers_where_nobody_else_does(short_folder):
    with answers_at(short_folder) as answers:
        pass
    assert asyncio.run(ask(answers, "GET", "/customers")).text == "itself"
    answers.is_available = False
    assert asyncio.run(ask(answers, "GET", "/customers")).text == "itself"


def test_no_answer_that_is_passed_on_needs_what_only_the_server_has_in_memory():
    own = re.compile(r"state\.(recommendations|collector_state|sign_in_limits|health|query_workers)")
    routers = [*ROUTERS, *(module.router for module in API_MODULES)]
    endpoints = {
        route.endpoint
        for router in routers
        for route in router.routes
        if reads_last_run({"type": "http", "method": "GET", "path": route.path, "headers": []})
    }
    modules = {sys.modules[endpoint.__module__] for endpoint in endpoints}
    assert len(endpoints) > 40
    users = [one.__name__ for one in modules if own.search(Path(one.__file__).read_text("utf-8"))]
    assert users == []


class EchoProcess(AnswerProcess):
    module = "tests.support.echo_answers"


def echoes(shop, count=1):
    return AnswerProcesses(shop, lambda: datetime.now(UTC), kind=EchoProcess, count=count)


def says(answers, *, killed=0):
    """What the process says to whoever connects before it is killed; 0 where the connection is closed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        if killed:
            os.kill(killed, signal.SIGSTOP)
            os.waitid(os.P_PID, killed, os.WSTOPPED | os.WNOWAIT)
        client.connect(str(answers.socket_path))
        if killed:
            os.kill(killed, signal.SIGKILL)
        return int(client.recv(100) or 0)


@pytest.mark.parametrize("lived_for_a_while", [True, False])
def test_who_asks_waits_for_another_process_where_the_last_one_had_lived(shop, monkeypatch, lived_for_a_while):
    lifetime = timedelta(0) if lived_for_a_while else timedelta(days=1)
    monkeypatch.setattr("patron.service.answer_process.MIN_LIFETIME", lifetime)
    answers = echoes(shop)
    answers.start()
    try:
        first = says(answers)
        assert answers.is_available
        second = says(answers, killed=first)
        assert (second not in {0, first}) == answers.is_available == lived_for_a_while
    finally:
        answers.stop()
    assert not answers.socket_path.parent.exists()


def test_while_one_of_two_processes_is_gone_the_other_answers(shop):
    answers = echoes(shop, count=2)
    answers.start()
    try:
        assert len(eventually(lambda: found if len(found := {says(answers) for _ in range(20)}) == 2 else ())) == 2
        gone = says(answers)
        os.kill(gone, signal.SIGKILL)
        assert eventually(lambda: sum(one.is_available for one in answers._processes) == 1)
        assert answers.is_available
        assert {says(answers) for _ in range(20)}.isdisjoint({0, gone})
    finally:
        answers.stop()


def test_a_server_whose_socket_would_have_too_long_a_name_answers_itself(shop, tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    answers = echoes(shop)
    answers.start()
    assert not answers.is_available
    answers.stop()
    assert list(deep.iterdir()) == []
