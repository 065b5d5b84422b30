"""Every command pays for itself only: what it does not use is not imported, neither by its code nor when it runs.

Time is measured by `benchmarks/interfaces/commands.py`; here is only who imports what, which no slow machine changes.
"""

import ast
import importlib
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
import typer

cli = importlib.import_module("patron.interfaces.cli.app")
NEVER = ("alembic", "pandas")
"""Alembic comes when a migration is due, and pandas never."""
OF_LEARNERS = ("lightgbm", "numba", "optuna", "patron.run", "scipy.optimize", "scipy.stats", "sklearn")
OF_IMPORTS = ("httpx", "sqlglot")
"""What files that are imported, and messages that are sent, need."""
OF_PAGES = ("altair", "fastapi")
OF_DATA = ("deltalake", "duckdb", "pyarrow", "sqlalchemy")
LEARN = frozenset(
    ("demo", "run", "lookalikes", "compare", "policy try", "campaign try", "models verify", "models export")
)
"""Commands that fit or load models, or run the loop."""
DRAW = frozenset(("digests preview", "report", "serve"))
"""Commands that make pages."""
SERVER = """
import importlib, json, os, sys
from patron.__main__ import import_sparingly, main
import_sparingly()
for name in sys.argv[1:]:
    importlib.import_module(name)
answers = os.dup(1)
os.dup2(2, 1)

def run(arguments):
    sys.argv = ["patron", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code or 0

def collect(imported, heavy):
    first_needed, before = {}, set()
    for command, modules in imported.items():
        for module in modules:
            importlib.import_module(module)
        loaded = {name for name in heavy if name in sys.modules}
        if loaded - before:
            first_needed[command] = sorted(loaded - before)
        before |= loaded
    return first_needed

for line in sys.stdin:
    arguments, heavy = json.loads(line)
    pid = os.fork()
    if pid == 0:
        if isinstance(arguments, list):
            answer = [run(arguments), [name for name in heavy if name in sys.modules]]
        else:
            answer = collect(arguments, heavy)
        os.write(answers, json.dumps(answer).encode() + b"\\n")
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit("a command failed")
"""


def commands_by_name(app: typer.Typer) -> dict[str, object]:
    """Functions of all commands by what people type."""
    commands = {}
    for group in ("", *app.registered_groups):
        typed = group.typer_instance if group else app
        for command in typed.registered_commands:
            name = command.name or command.callback.__name__.strip("_").replace("_", "-")
            commands[f"{typed.info.name if group else ''} {name}".strip()] = command.callback
    return commands


COMMANDS = commands_by_name(cli.app)


def imported_by(function) -> list[str]:
    """Modules that a command imports when it is called, and those of helpers of its file."""
    tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    helpers = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    pending, modules, seen = [function.__name__], [], set()
    while pending:
        name = pending.pop()
        seen.add(name)
        for node in ast.walk(helpers[name]):
            if isinstance(node, ast.ImportFrom):
                modules.append(node.module)
                modules += [f"{node.module}.{one.name}" for one in node.names if is_module(f"{node.module}.{one.name}")]
            elif isinstance(node, ast.Import):
                modules += [one.name for one in node.names]
            elif isinstance(node, ast.Name) and node.id in helpers.keys() - seen:
                pending.append(node.id)
    return modules


def is_module(name: str) -> bool:
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    return parent is not None and parent.submodule_search_locations is not None and bool(importlib.util.find_spec(name))


class Commands:
    """Starts commands as processes of their own, which begin with some modules instead of importing them each."""

    def __init__(self, *modules: str, **environment: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER, *modules], env=os.environ | environment, **pipes)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait(60)
        self.server.stdout.close()

    def run(self, *arguments: str) -> set[str]:
        """Run a command; return which of the heavy modules its process had in the end."""
        code, loaded = self._ask(arguments, (*NEVER, *OF_LEARNERS, *OF_PAGES, *OF_DATA))
        assert code == 0, arguments
        return set(loaded)

    def loaded_by(self, commands: dict[str, object], *heavy: str) -> dict[str, list[str]]:
        """Which of some modules the imports of commands load, by the command that is the first to need one."""
        return self._ask({name: imported_by(function) for name, function in commands.items()}, heavy)

    def _ask(self, *question: object) -> Any:
        self.server.stdin.write(json.dumps(question) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())


@pytest.fixture(scope="module")
def home(new_home, tmp_path_factory):
    """A folder with a new workspace and its key."""
    return shutil.copytree(new_home, tmp_path_factory.mktemp("light") / "home")


@pytest.fixture(scope="module")
def commands(home):
    """Commands whose processes have the lake and the store from the start, which nearly all of them need."""
    started = Commands(*OF_DATA, XDG_CONFIG_HOME=str(home / "config"))
    yield started
    started.close()


def test_only_who_learns_or_draws_imports_what_that_takes(commands):
    light = {name: function for name, function in COMMANDS.items() if name not in LEARN | DRAW}
    assert commands.loaded_by(light, *NEVER, *OF_LEARNERS, *OF_PAGES) == {}


def test_a_run_imports_what_learns_only_when_it_learns(commands):
    heavy = (*NEVER, *OF_LEARNERS[:3], *OF_LEARNERS[4:], *OF_IMPORTS)
    assert commands.loaded_by({"run": COMMANDS["run"]}, *heavy) == {}


def test_a_command_has_lightgbm_without_scikit_learn_and_both_where_it_imports_both():
    code = """
import sys
from patron.__main__ import import_sparingly
import_sparingly()
import lightgbm
import numpy as np
assert "sklearn" not in sys.modules
lightgbm.train({"verbose": -1}, lightgbm.Dataset(np.eye(2), np.arange(2.0)), 1)
import sklearn
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_who_draws_imports_no_learner(commands):
    drawing = {name: COMMANDS[name] for name in DRAW}
    assert commands.loaded_by(drawing, *NEVER, *OF_LEARNERS) == {}


@pytest.mark.parametrize("command", ["sql", "segment list", "doctor", "campaign list", "audit verify", "policy show"])
def test_a_command_that_reads_runs_without_learners(commands, home, command):
    loaded = commands.run(*command.split(), "--workspace", str(home / "w"))
    assert loaded <= set(OF_DATA), "the lake and the store are all it opens"


def test_a_query_without_tables_runs_without_learners(commands, home):
    assert commands.run("sql", "select 1", "--workspace", str(home / "w")) <= set(OF_DATA)


def test_what_opens_no_workspace_loads_no_engine():
    lone = Commands()
    try:
        assert lone.run("mappings") == set()
    finally:
        lone.close()
