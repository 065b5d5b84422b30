"""Every hostile input of the tests through every door: nothing dies, nothing is a fault, and the server stays small.

`python benchmarks/interfaces/hostile_inputs.py`; takes some minutes.
"""

import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import httpx
from tests.support.hostile import hostile_inputs
from tests.support.hostile.hostile_corpus import CAMPAIGN, Server, hostile_server, send_all
from tests.support.shops.made_shop import fill

from patron.storage.shop import Shop

WARM_UP = ("/campaigns", "/explore", "/ingestion/upload", "/segments/new")
MB = 1 << 20
COMMAND_SECONDS = 180


def main() -> None:
    """Send all of it to the server, then to the command line, and print what came of it."""
    print(f"{hostile_inputs.count()} hostile files and texts", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        fill(Shop.create(folder)).close()
        with hostile_server(folder) as server:
            send_to_server(server)
        run_commands(folder, Path(scratch))


def send_to_server(server: Server) -> None:
    """Send all inputs through all doors of the server."""
    for path in WARM_UP:
        httpx.get(server.address + path, timeout=60)
    before, since = server.memory, time.perf_counter()
    answers: Counter[tuple[str, int]] = Counter()
    for one in send_all(server):
        answers[one.door, one.status] += 1
        if one.status >= 500:
            print(f"FAULT {one.door}: {one.name}: {one.status} {one.text[:200]}", flush=True)
    for (door, status), count in sorted(answers.items()):
        print(f"{door:25} {status} {count:5}")
    health = sorted(server.health_seconds)
    print(f"requests {answers.total()} in {time.perf_counter() - since:.0f} s")
    print(f"faults {sum(count for (_, status), count in answers.items() if status >= 500)}")
    print(f"dead processes {int(server.process.poll() is not None)}; unanswered /health {len(server.unanswered)}")
    print(f"/health median {health[len(health) // 2] * 1000:.0f} ms, slowest {health[-1] * 1000:.0f} ms")
    print(f"memory before {before // MB} MB, after {server.memory // MB} MB: {server.memory / before:.2f}", flush=True)


def run_commands(folder: Path, scratch: Path) -> None:
    """Give all inputs to the command line, each to a process of its own."""
    codes: Counter[tuple[str, int]] = Counter()
    for name, (command, content) in _commands(scratch).items():
        kind = command[0]
        if content is not None:
            Path(command[-1]).write_bytes(content)
        line = [sys.executable, "-m", "patron", *command, "--workspace", str(folder)]
        done = subprocess.run(line, capture_output=True, timeout=COMMAND_SECONDS, check=False)  # noqa: S603
        codes[kind, done.returncode] += 1
        if done.returncode not in {0, 1, 2} or b"Traceback" in done.stderr:
            print(f"FAULT {kind}: {name}: {done.returncode} {done.stderr[-300:]!r}", flush=True)
    for (kind, code), count in sorted(codes.items()):
        print(f"patron {kind:18} exit code {code} {count:5}")


def _commands(scratch: Path) -> dict[str, tuple[list[str], bytes | None]]:
    commands: dict[str, tuple[list[str], bytes | None]] = {}
    for name, make in hostile_inputs.files().items():
        path = str(scratch / name)
        commands[f"import of {name}"] = (["import", "--mapping", "auto", "--dry-run", path], make())
    for name, sql in hostile_inputs.queries().items():
        if "\0" not in sql:  # why: no argument of a process can hold it
            commands[f"query of {name}"] = (["sql", "--timeout", "2", sql], None)
    for name, rule in hostile_inputs.rules().items():
        commands[f"segment of {name}"] = (["segment", "save", str(scratch / "rule.json")], rule.encode())
    for number, (name, (body, body_format)) in enumerate(hostile_inputs.templates(150_000).items()):
        ending = {"html": "html", "mjml": "mjml", "text": "txt"}[body_format]
        (scratch / f"body{number}.{ending}").write_text(body)
        lines = [f"{key} = {value!r}" for key, value in CAMPAIGN.items() if key not in {"start", "end"}]
        lines += [f"{key} = {CAMPAIGN[key]}" for key in ("start", "end")]
        lines += ["[template.en]", 'subject = "Hello"', f'file = "body{number}.{ending}"', ""]
        content = "\n".join(lines)
        tomllib.loads(content)
        commands[f"campaign of {name}"] = (["campaign", "save", str(scratch / "c.toml")], content.encode())
    return commands


if __name__ == "__main__":
    main()
