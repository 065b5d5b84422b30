"""Preview a run: decide as it would, in a copy of the workspace that is deleted afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from patron.commands.data.backup import copy_databases
from patron.schema.errors import WorkspaceError
from patron.schema.progress import Progress, silent
from patron.schema.sentences import Sentence
from patron.storage.durable_files import disk_errors
from patron.storage.offers.policy import Budget, Policy
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.workspace.run_files import drop_outbox_files
from patron.storage.workspace.workspace_files import (
    DATA_FOLDERS,
    IMAGE_VECTORS_FILE,
    OFFER_RULES_FILE,
    POLICY_FILE,
    PREVIEW_PREFIX,
    PRODUCT_EDGES_FILE,
    SCRATCH_FOLDER,
    SETTINGS_FILE,
    TRACKING_FOLDER,
)
from patron.storage.workspace.workspace_identity import IDENTITY_FILE

if TYPE_CHECKING:
    from patron.run import FinishedRun

PREVIEW_NEEDS_FILES = Sentence(
    "preview_needs_files", "a run can be previewed only where store and inbox are files, and here one is on a server"
)
RUN_ON_COPY = Sentence("run_on_copy", "Restore a copy of the database, and run on it.")

COPIED = (
    *(IDENTITY_FILE, SETTINGS_FILE, POLICY_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE, IMAGE_VECTORS_FILE),
    TRACKING_FOLDER,
)
LINKED = ("lake", "models")
"""Folders whose Parquet files and models are never changed once they are written: the copy links to them."""
LOG_FOLDER = "_delta_log"


@contextmanager
def preview_run(
    shop: Shop,
    as_of: datetime,
    *,
    now: datetime,
    budget: float | None = None,
    policy: Policy | None = None,
    progress: Progress = silent,
) -> "Iterator[tuple[Shop, FinishedRun]]":
    """Run the loop in a copy of the workspace, and give the copy and the run; nothing else is written.

    `policy` is used instead of the policy in force, and `budget`, an amount of its period, instead of its own. The copy
    is deleted at the end, or by the next command after a kill. No other run, erasure or backup works meanwhile; events
    are still stored.
    Raises as `run_loop`, SettingsError for a budget that is none, and WorkspaceError where store or inbox are servers.
    """
    from patron.run import require_open, run_loop  # noqa: PLC0415 - with every learner: who only proposes needs none

    _require_files(shop)
    policy = policy or shop.policy
    policy = policy if budget is None else _with_budget(policy, budget)
    with shop.run_lock():
        require_open(shop, Run.at(as_of, zone=shop.settings.shop.time_zone))
        place = shop.folder / SCRATCH_FOLDER
        with disk_errors(place), tempfile.TemporaryDirectory(prefix=PREVIEW_PREFIX, dir=place) as folder:
            _copy_workspace(shop, Path(folder))
            with closing(Shop.open(Path(folder))) as copy:
                copy.policy = policy
                with copy.store.begin() as connection:
                    drop_outbox_files(connection)  # why: the copy's outbox is empty, and nobody took anything from it
                yield copy, run_loop(copy, as_of, now=now, progress=progress)


def _require_files(shop: Shop) -> None:
    """Raise WorkspaceError where a copy would share what the run writes with the workspace."""
    for name, is_server in (("store_url", shop.settings.store_url), ("inbox_url", shop.settings.inbox_url)):
        if is_server:
            raise WorkspaceError(
                PREVIEW_NEEDS_FILES,
                where=name,
                todo=RUN_ON_COPY,
            )


def _with_budget(policy: Policy, amount: float) -> Policy:
    """The policy with another amount. Raises SettingsError."""
    return policy.model_copy(update={"budget": Budget.of(amount, policy.budget.period)})


def _copy_workspace(shop: Shop, folder: Path) -> None:
    """Copy what a run reads and writes, as one moment has it; the outbox of the copy is empty."""
    for name in (*DATA_FOLDERS, SCRATCH_FOLDER):
        (folder / name).mkdir(mode=0o700)
    with shop.commit_lock():
        for name in LINKED:
            _link_files(shop.folder / name, folder / name)
        copy_databases(shop, folder)
    for name in COPIED:
        source = shop.folder / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copy2(source, folder / name)


def _link_files(source: Path, target: Path) -> None:
    """Make a folder with the same files: links, but copies of the logs, and of all where the disk knows no links."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif LOG_FOLDER in path.parts:
            shutil.copy2(path, place)
        else:
            try:
                os.link(path, place)
            except OSError:
                shutil.copy2(path, place)
