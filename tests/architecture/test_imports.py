"""What an import costs: the libraries load neither the platform nor its dependencies."""

import ast
import subprocess
import sys
from pathlib import Path

import patron

PLATFORM = ("duckdb", "deltalake", "sqlalchemy", "fastapi", "lightgbm")


LIBRARIES = (
    "patron.allocation",
    "patron.clickstream",
    "patron.clv",
    "patron.estimators",
    "patron.experiments",
    "patron.tabular",
    "patron.uplift",
)


def test_no_library_loads_anything_of_the_platform():
    # why one process: to load what the libraries share takes seconds
    script = f"import sys, importlib\nfor name in {LIBRARIES}: importlib.import_module(name); print(name, *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {line.split()[0]: {name.partition(".")[0] for name in line.split()} for line in done.stdout.splitlines()}
    assert tuple(loaded) == LIBRARIES
    assert {library for library, packages in loaded.items() if packages & set(PLATFORM)} == set()


def test_schema_needs_no_package_of_storage():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, patron.schema.tables; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not {name for name in loaded if name.startswith("patron.") and not name.startswith("patron.schema")}


CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}


def test_nothing_below_the_interfaces_reads_the_clock():
    """Time is an argument; how long something takes may be measured."""
    folder = Path(patron.__file__).parent
    found = [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*.py"))
        if "interfaces" not in path.relative_to(folder).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {attribute for _, attribute in CLOCKS}
        and (ast.unparse(node.func.value).rpartition(".")[2], node.func.attr) in CLOCKS
    ]
    assert found == []
