"""Make a small workspace of each published layout, master key included.

    python tests/support/shops/published_layouts.py FOLDER

The layout of this code is made by this code. Before a change to LAYOUT_VERSION, run the script once and commit what it
makes as tests/storage/layouts/<version>.tar.xz: from then on that layout is unpacked, not made.
"""

import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.storage.shop import Shop
from patron.storage.workspace.layout import LAYOUT_VERSION

ARCHIVES = Path(__file__).parents[2] / "storage" / "layouts"
KEY_FILE, WORKSPACE = "master.key", "workspace"
ORDERS = """customer_id,date,units,value
ann,1997-01-03,1,11.77
ben,1997-01-04,2,12.00
ann,1997-02-17,1,9.50
cai,never,1,5.00
"""


def make_current(folder: Path) -> None:
    """A workspace with three orders and a rejected one."""
    create(folder / WORKSPACE)
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    shop = Shop.open(folder / WORKSPACE)
    try:
        import_files(shop, [str(folder / "orders.csv")], "cdnow", progress=lambda *_: None, now=datetime.now(UTC))
    finally:
        shop.close()


def make(version: int, folder: Path) -> Path:
    """Make the workspace of a layout in a new folder; returns where it is. Its master key lies next to it."""
    folder.mkdir(parents=True)
    if version == LAYOUT_VERSION:
        with environment(PATRON_MASTER_KEY_FILE=str(folder / KEY_FILE)):
            make_current(folder)
    else:
        with tarfile.open(ARCHIVES / f"{version}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder / WORKSPACE


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for the block."""
    before: Mapping[str, str] = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(folder: Path) -> None:
    """Make every published layout in a folder, each also as an archive."""
    for version in range(1, LAYOUT_VERSION + 1):
        workspace = make(version, folder / str(version))
        with tarfile.open(folder / f"{version}.tar.xz", "w:xz") as archive:
            for name in (WORKSPACE, KEY_FILE):
                archive.add(workspace.parent / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
