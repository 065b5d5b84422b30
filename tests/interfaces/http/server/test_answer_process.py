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
from contextlib import closing, contextmanager, suppress
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
from patron.interfaces.http.application import API_MODULES, create_app
from patron.interfaces.http.page_turns import UNANSWERED
from patron.interfaces.http.server.answer_forwarding import AnswerForwarding, reads_last_run
from patron.schema.access.access_rights import VISITOR, Role
from patron.schema.errors import Overloaded
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


def count_of_processes():
    """How many processes a server has for answers here."""
    return min(MAX_PROCESSES, len(os.sched_getaffinity(0)))


def all_answering(server, gone=frozenset()):
    """All processes that should answer for a server, once they run and none of them is one that is gone."""
    now = answering(server)
    return now if len(now) == count_of_processes() and not now & gone else set()


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
@pytest.mark.skipif(count_of_processes() < 2, reason="where one process answers, some requests are refused with it")
def test_while_a_process_that_was_killed_is_replaced_every_request_is_answered(served):
    gone = min(eventually(lambda: all_answering(served.process)))
    os.kill(gone, signal.SIGKILL)
    for path in PAGES:
        answer = served.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    others = eventually(lambda: all_answering(served.process, {gone}))
    assert others
    # the last test of this server: nothing of it is left when it is killed
    sockets = [Path(argument) for process in others for argument in arguments(process) if "/answers-" in argument]
    assert len(sockets) == len(others)
    served.process.kill()
    served.process.wait()
    assert eventually(lambda: not any(Path(f"/proc/{process}").exists() for process in others))
    assert not any(path.parent.exists() for path in sockets)


def arguments(process):
    return Path(f"/proc/{process}/cmdline").read_text().split("\0")


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
        yield Answering(folder / "answers")
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


class Answering:
    """What stands for the processes: those that listen at these sockets."""

    def __init__(self, *sockets):
        self.processes = [SimpleNamespace(socket_path=path, open_count=0, ran_at=None) for path in sockets]

    def least_busy_first(self):
        return sorted(self.processes, key=lambda one: one.open_count)


@contextmanager
def listening(path, answer):
    """A process that does as `answer` says with each connection, and counts them."""
    taken = []

    def work(connection):
        with connection:
            answer(connection)

    def accept(listener):
        with suppress(OSError):
            while True:
                taken.append(listener.accept()[0])
                threading.Thread(target=work, args=(taken[-1],), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield taken
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def dies(connection):
    """Read the request and end."""
    connection.recv(10_000)


def hangs(connection):
    """Read the request, and then the next one, which never comes."""
    connection.recv(10_000)
    connection.recv(10_000)


def breaks_off(connection):
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe beginning")


def answers_well(connection):
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell")


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
    """The application of the server: it refuses what it is told that no process could answer."""
    if scope["type"] == "http":
        refused = scope.get("state", {}).get(UNANSWERED)
        await PlainTextResponse(str(refused or "itself"), 503 if refused else 200)(scope, receive, send)


async def ask(answers, method, path, **more):
    forwarding = AnswerForwarding(itself, answers)
    transport = httpx.ASGITransport(forwarding, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        answer = await client.request(method, path, **more)
    await forwarding({"type": "lifespan"}, None, None)
    return answer


def sent_by(answers, headers):
    """What is sent for a request, message by message."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/customers", "raw_path": b"/customers", "query_string": b""}
    scope |= {"headers": headers, "scheme": "http", "client": None}
    asyncio.run(AnswerForwarding(itself, answers)(scope, None, send))
    return sent


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


def test_the_server_answers_itself_what_cannot_be_passed_on(short_folder):
    with answers_at(short_folder) as answers:
        assert [one.get("status", one.get("body")) for one in sent_by(answers, headers=[])] == [200, b"itself"]


def test_the_server_answers_where_nobody_else_does():
    assert asyncio.run(ask(Answering(), "GET", "/customers")).text == "itself"


def test_a_process_that_does_not_start_in_time_is_not_waited_for(short_folder, monkeypatch):
    monkeypatch.setattr("patron.interfaces.http.server.answer_forwarding.START_SECONDS", 0.2)
    assert asyncio.run(ask(Answering(short_folder / "nobody"), "GET", "/customers")).text == "itself"


def test_a_request_of_which_processes_die_is_never_computed_where_events_are_collected(short_folder):
    first, second = short_folder / "first", short_folder / "second"
    with listening(first, dies) as by_first, listening(second, dies) as by_second:
        answer = asyncio.run(ask(Answering(first, second), "GET", "/customers"))
    assert (answer.status_code, len(by_first), len(by_second)) == (503, 1, 1)
    assert "could not finish" in answer.text


def test_another_process_answers_what_one_did_not_finish(short_folder):
    first, second = short_folder / "first", short_folder / "second"
    with listening(first, dies) as by_first, listening(second, answers_well):
        answer = asyncio.run(ask(Answering(first, second), "GET", "/customers"))
    assert (answer.text, len(by_first)) == ("well", 1)


def test_a_process_that_died_of_a_request_is_asked_again_once_another_one_has_started(short_folder):
    answers = Answering(short_folder / "only")

    def dies_and_starts_again(connection):
        if answers.processes[0].ran_at:
            answers_well(connection)
        else:
            dies(connection)
            threading.Timer(0.2, setattr, (answers.processes[0], "ran_at", 1)).start()

    with listening(short_folder / "only", dies_and_starts_again) as taken:
        assert asyncio.run(ask(answers, "GET", "/customers")).text == "well"
    assert len(taken) == 2


def test_a_request_that_is_not_answered_in_time_is_refused_and_its_process_replaced(short_folder, monkeypatch):
    monkeypatch.setattr("patron.interfaces.http.server.answer_forwarding.ANSWER_SECONDS", 0.3)
    answers, replaced = Answering(short_folder / "first"), []
    answers.processes[0].restart = lambda: replaced.append(1)
    with listening(short_folder / "first", hangs) as taken:
        answer = asyncio.run(ask(answers, "GET", "/customers"))
    assert (answer.status_code, len(taken), replaced) == (503, 1, [1])
    assert "took longer" in answer.text


def test_an_answer_that_breaks_off_is_not_sent_again(short_folder):
    with listening(short_folder / "first", breaks_off) as taken:
        sent = sent_by(Answering(short_folder / "first"), headers=[(b"host", b"shop.example")])
    assert (len(taken), [one.get("status", one.get("body")) for one in sent]) == (1, [200, b"the beginning"])


def test_the_process_with_the_fewest_open_requests_is_asked(short_folder):
    first, second = short_folder / "first", short_folder / "second"
    all_are_there = threading.Barrier(4)

    def waits(connection):
        connection.recv(10_000)
        all_are_there.wait(PATIENCE_SECONDS)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell")

    async def ask_many(answers):
        return await asyncio.gather(*(ask(answers, "GET", "/customers") for _ in range(4)))

    with listening(first, waits) as by_first, listening(second, waits) as by_second:
        answers = Answering(first, second)
        assert [answer.text for answer in asyncio.run(ask_many(answers))] == ["well"] * 4
    assert (len(by_first), len(by_second)) == (2, 2)
    assert [one.open_count for one in answers.processes] == [0, 0]


def test_a_reader_is_told_in_a_page_or_in_json_that_no_process_could_answer(made_shop):
    app = create_app(made_shop, visitor=VISITOR)
    state = {UNANSWERED: Overloaded("it was lost", where="server", todo="Try again.")}

    async def refused(scope, receive, send):
        await app({**scope, "state": dict(state)}, receive, send)

    async def get(path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(refused), base_url="http://localhost") as client:
            return await client.get(path)

    page, program = asyncio.run(get("/customers")), asyncio.run(get("/api/customers"))
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "it was lost" in page.text.lower()
    assert (program.status_code, program.json()["error"]) == (503, "Overloaded")


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


def says(process):
    """What a process says to whoever connects; 0 where none listens."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        try:
            client.connect(str(process.socket_path))
            return int(client.recv(100) or 0)
        except OSError:
            return 0


@pytest.mark.parametrize("lived_for_a_while", [True, False])
def test_a_process_that_had_lived_is_replaced_at_once(shop, monkeypatch, lived_for_a_while):
    lifetime = timedelta(0) if lived_for_a_while else timedelta(days=1)
    monkeypatch.setattr("patron.service.answer_process.MIN_LIFETIME", lifetime)
    answers = echoes(shop)
    answers.start()
    (process,) = answers.least_busy_first()
    try:
        first = eventually(lambda: says(process))
        os.kill(first, signal.SIGKILL)
        if lived_for_a_while:
            assert eventually(lambda: says(process) not in {0, first})
            assert answers.least_busy_first() == [process]
        else:
            assert eventually(lambda: not answers.least_busy_first())
    finally:
        answers.stop()
    assert not process.socket_path.parent.exists()


def test_early_deaths_with_a_long_life_between_them_are_not_in_a_row(shop):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    process = AnswerProcess(shop, lambda: now)
    pauses = []
    for lived in (timedelta(seconds=1), timedelta(days=1), timedelta(seconds=1)):
        process.ran_at = now - lived
        process._pause()
        pauses.append(process._rests_until - now)
    assert pauses == [timedelta(seconds=5)] * 3


def test_a_process_that_hangs_is_replaced(shop, monkeypatch):
    monkeypatch.setattr("patron.service.answer_process.MIN_LIFETIME", timedelta(0))
    answers = echoes(shop)
    answers.start()
    (process,) = answers.least_busy_first()
    try:
        first = eventually(lambda: says(process))
        os.kill(first, signal.SIGSTOP)
        process.restart()
        assert eventually(lambda: says(process) not in {0, first})
    finally:
        answers.stop()


def test_while_one_of_two_processes_is_gone_the_other_answers(shop):
    answers = echoes(shop, count=2)
    answers.start()
    first, second = answers.least_busy_first()
    try:
        gone = eventually(lambda: says(first))
        assert eventually(lambda: says(second))
        os.kill(gone, signal.SIGKILL)
        assert eventually(lambda: answers.least_busy_first() == [second])
        assert says(second) not in {0, gone}
    finally:
        answers.stop()


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_server_that_can_have_no_sockets_answers_itself(shop, tmp_path, monkeypatch, is_missing):
    deep = tmp_path / ("x" * 100)
    if not is_missing:
        deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    answers = echoes(shop)
    answers.start()
    assert not answers.least_busy_first()
    answers.stop()
    assert is_missing or list(deep.iterdir()) == []


@pytest.mark.parametrize("is_folder_left", [True, False])
def test_a_process_whose_server_ended_before_it_was_ready_leaves_nothing(made_shop, tmp_path, is_folder_left):
    folder = tmp_path / "sockets"
    if is_folder_left:  # as of a server that was killed
        folder.mkdir()
    command = [sys.executable, "-m", AnswerProcess.module, str(made_shop.folder), str(folder / "answers-0")]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS, check=True)
    assert ended.stderr == b""
    assert not folder.exists()
