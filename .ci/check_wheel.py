"""Check a built wheel: its files, its version, and what a light install of it can do. Used by `make dist`."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "patron"
NOT_PACKAGED = {".mo"}
"""Message catalogues that the code compiles from .po when it needs them."""
TOO_HEAVY = ("duckdb", "deltalake", "sqlalchemy", "fastapi", "sklearn", "altair", "typer")
FIT = """
import sys
import numpy as np, pyarrow as pa
from patron.clv import BetaGeo, rfm
rng = np.random.default_rng(1)
day = np.datetime64("2024-01-01")
orders = pa.table({
    "customer_id": [str(n % 400) for n in range(2000)],
    "ordered_at": day + rng.integers(0, 300, 2000),
})
fitted = BetaGeo().fit(rfm(orders, until="2024-10-27", unit="W", value=None))
print(fitted.params)
heavy = [name for name in sys.argv[1:] if name in sys.modules]
sys.exit(f"patron.clv imports {heavy}" if heavy else 0)
"""


def source_files() -> set[str]:
    """Every file that belongs in the wheel."""
    return {
        f"patron/{path.relative_to(SOURCE).as_posix()}"
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in NOT_PACKAGED
    }


def check_contents(wheel: Path) -> None:
    """Stop unless the wheel has the package's files and no others, and the version of the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        version = Parser().parsestr(archive.read(metadata).decode())["Version"]
    expected = source_files()
    if names != expected:
        sys.exit(f"missing in the wheel: {sorted(expected - names)}; not expected: {sorted(names - expected)}")
    if "patron/py.typed" not in names:
        sys.exit("patron/py.typed is missing: type checkers would ignore the annotations")
    if f'__version__ = "{version}"' not in (SOURCE / "__init__.py").read_text(encoding="utf-8"):
        sys.exit(f"the wheel says version {version}, patron.__version__ another")


def check_light_install(wheel: Path) -> None:
    """Stop unless the wheel alone fits a model, and its command says what to install."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        pins = ["--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins, str(wheel)], check=True)
        subprocess.run([python, "-c", FIT, *TOO_HEAVY], check=True, cwd=folder)
        command = subprocess.run(
            [str(Path(folder) / "bin" / "patron"), "--help"], check=False, capture_output=True, text=True
        )
        if command.returncode != 1 or "patron[platform]" not in command.stderr or "Traceback" in command.stderr:
            sys.exit(f"the command of a light install answers: {command.stdout}{command.stderr}")


def main() -> None:
    """Check the one wheel named on the command line."""
    wheel = Path(sys.argv[1]).resolve()
    check_contents(wheel)
    check_light_install(wheel)
    print(f"{wheel.name}: files, version and light install are as they should be")


if __name__ == "__main__":
    main()
