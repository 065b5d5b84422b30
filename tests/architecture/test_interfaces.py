"""Every answer, command and service is reached through an interface; each command calls one of them."""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer

import patron.answers
import patron.commands
import patron.interfaces
import patron.service

cli = importlib.import_module("patron.interfaces.cli.app")
ACTIONS = {
    module.name
    for package in (patron.answers, patron.commands, patron.service)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.ispkg
} | {"patron.run"}
BY_INTERFACE = {"report_": "patron.interfaces.report.html_report", "serve": "patron.interfaces.http.server.server"}
"""Commands that call another interface, which calls the action."""


def commands_of(app: typer.Typer) -> list[Callable]:
    """Functions of all commands, those of groups too."""
    groups = [group.typer_instance for group in app.registered_groups]
    return [command.callback for typed in (app, *groups) for command in typed.registered_commands]


def imported(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def files(package: ModuleType) -> list[Path]:
    return sorted(Path(package.__file__).parent.rglob("*.py"))


def command_files() -> list[Path]:
    return sorted(Path(cli.__file__).parent.rglob("*_commands.py"))


def reached() -> set[str]:
    """Action modules that interfaces import, directly or through another action."""
    ahead = set().union(*(imported(path) for path in files(patron.interfaces))) & ACTIONS
    found: set[str] = set()
    while ahead:
        found |= ahead
        ahead = set().union(*(imported(Path(importlib.import_module(n).__file__)) for n in ahead)) & ACTIONS - found
    return found


def test_every_action_is_reached_by_an_interface():
    assert sorted(ACTIONS - reached()) == []


PASSED = tuple(
    f"patron.govern.access.{name}" for name in ("customer_scope", "operations", "request_context", "visible_customers")
)
"""Modules whose types every action is passed, and by which it is declared."""


def test_no_interface_goes_deeper_than_actions_and_base():
    stages = tuple(f"patron.{name}" for name in ("collect", "understand", "predict", "decide", "engage", "measure"))
    deep = {
        str(path): sorted(
            name
            for name in imported(path)
            if name.startswith((*stages, "patron.simulate", "patron.govern")) and not name.startswith(PASSED)
        )
        for path in files(patron.interfaces)
    }
    assert {path: names for path, names in deep.items() if names} == {}


@pytest.mark.parametrize("command", commands_of(cli.app), ids=lambda command: command.__name__)
def test_every_command_calls_one_action(command):
    """Commands import what they call inside, so that nothing heavy loads before; render and output only show it."""
    function = ast.parse(inspect.getsource(command))
    bound = imports_by_name(function)
    called = {bound[name] for name in called_names(function) & bound.keys()}
    actions = {module for module in called if module in ACTIONS}
    if command.__name__ in BY_INTERFACE:
        assert BY_INTERFACE[command.__name__] in called
        assert actions == set()
    else:
        assert len(actions) == 1
    assert imported_actions(bound) == actions, "what is imported is called"


def imports_by_name(tree: ast.AST) -> dict[str, str]:
    """Names that imports inside a function bind, with the module that each is or comes from."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bound |= {name.asname or name.name.partition(".")[0]: name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                module = f"{node.module}.{name.name}"
                bound[name.asname or name.name] = module if is_module(module) else node.module
    return bound


def is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None if is_package(name.rpartition(".")[0]) else False


def is_package(name: str) -> bool:
    return hasattr(importlib.import_module(name), "__path__")


def called_names(tree: ast.AST) -> set[str]:
    """Names that are called, or whose attribute is called."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    roots = [function.value if isinstance(function, ast.Attribute) else function for function in functions]
    return {root.id for root in roots if isinstance(root, ast.Name)}


def imported_actions(bound: dict[str, str]) -> set[str]:
    return set(bound.values()) & ACTIONS


def test_every_function_written_as_a_command_is_one():
    """Each command's docstring has an example (`tests/interfaces/cli/test_cli.py`), other functions have none."""
    names = [".".join(path.relative_to(Path(cli.__file__).parent).with_suffix("").parts) for path in command_files()]
    modules = [vars(importlib.import_module(f"patron.interfaces.cli.{name}")) for name in names]
    functions = {value for names in modules for value in names.values() if inspect.isfunction(value)}
    written = {function for function in functions if "Example: patron " in (function.__doc__ or "")}
    assert written == set(commands_of(cli.app))


def test_modules_of_commands_import_nothing_to_call_at_their_top():
    """Else the test above would not see it."""
    for path in command_files():
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
        modules = {node.module for node in top} | {f"{node.module}.{name.name}" for node in top for name in node.names}
        assert modules & ACTIONS == set(), path.name
