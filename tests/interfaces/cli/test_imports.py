"""Every command pays for itself only: what it does not use is not imported, neither by its code nor when it runs.

Time is measured by `benchmarks/interfaces/commands.py`; here is only who imports what, which no slow machine changes.
"""

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys

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
RUN = """
import sys
from patron.__main__ import main
heavy = sys.stdin.read().split()
sys.argv = ["patron", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    sys.stderr.write("\\n" + " ".join(name for name in heavy if name in sys.modules))
    raise
"""
COLLECT = """
import importlib, sys
from patron.__main__ import import_sparingly
import_sparingly()
before = set()
for line in sys.stdin.read().splitlines():
    command, _, modules = line.partition(": ")
    for module in modules.split():
        importlib.import_module(module)
    loaded = {name for name in sys.argv[1:] if name in sys.modules}
    if loaded - before:
        print(f"{command}: {' '.join(sorted(loaded - before))}")
    before |= loaded
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


def loaded_by(commands: dict[str, object], *modules: str) -> str:
    """Which of some modules the imports of commands load: a line for each command that is the first to need one."""
    lines = "\n".join(f"{name}: {' '.join(imported_by(function))}" for name, function in commands.items())
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, *modules], input=lines, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_who_learns_or_draws_imports_what_that_takes():
    light = {name: function for name, function in COMMANDS.items() if name not in LEARN | DRAW}
    assert loaded_by(light, *NEVER, *OF_LEARNERS, *OF_PAGES) == ""


def test_a_run_imports_what_learns_only_when_it_learns():
    assert loaded_by({"run": COMMANDS["run"]}, *NEVER, *OF_LEARNERS[:3], *OF_LEARNERS[4:], *OF_IMPORTS) == ""


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


def test_who_draws_imports_no_learner():
    drawing = {name: COMMANDS[name] for name in DRAW}
    assert loaded_by(drawing, *NEVER, *OF_LEARNERS) == ""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light") / "shop"
    run("init", str(folder))
    return folder


def run(*arguments: str) -> set[str]:
    """Run a command; return which of the heavy modules its process had in the end."""
    heavy = (*NEVER, *OF_LEARNERS, *OF_PAGES, *OF_DATA)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], input=" ".join(heavy), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["sql", "segment list", "doctor", "campaign list", "audit verify", "policy show"])
def test_a_command_that_reads_runs_without_learners(workspace, command):
    loaded = run(*command.split(), "--workspace", str(workspace))
    assert loaded <= set(OF_DATA), "the lake and the store are all it opens"


def test_a_query_without_tables_runs_without_learners(workspace):
    assert run("sql", "select 1", "--workspace", str(workspace)) <= set(OF_DATA)


def test_what_opens_no_workspace_loads_no_engine():
    assert run("mappings") == set()
