"""What an import costs: the libraries load neither the platform nor its dependencies."""

import subprocess
import sys

import pytest

PLATFORM = ("duckdb", "deltalake", "sqlalchemy", "fastapi", "lightgbm")


@pytest.mark.parametrize("library", ["patron.clv"])
def test_a_library_loads_nothing_of_the_platform(library):
    script = f"import sys, {library}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & set(PLATFORM)


def test_schema_needs_no_package_of_storage():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, patron.schema.tables; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not {name for name in loaded if name.startswith("patron.") and not name.startswith("patron.schema")}
