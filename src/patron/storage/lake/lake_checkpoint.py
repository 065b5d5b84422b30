"""Checkpoints of a table's log: made aside, synced, and only then put into it.

delta-rs syncs nothing and writes a checkpoint where it will be read: after a power cut a torn one makes the whole table
unreadable, although every commit is there. So its own checkpoints are switched off.
"""

import shutil
from pathlib import Path

from deltalake import DeltaTable
from deltalake.transaction import PostCommitHookProperties

from patron.storage.durable_files import make_private_folder, replace_durably
from patron.storage.lake.lake_log import LOG

HINT = "_last_checkpoint"
COMMITS_PER_CHECKPOINT, DIGITS = 100, 20
NO_CHECKPOINT = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""What every commit is made with."""


def write_checkpoint(table: Path) -> int:
    """Write a checkpoint of the newest version of a table durably, whole or not at all; return the version."""
    log, aside = table / LOG, table / ".checkpoint"
    shutil.rmtree(aside, ignore_errors=True)  # why: what a process that was killed has left
    make_private_folder(aside)
    since = max((path.name[:DIGITS] for path in log.glob("*.checkpoint.parquet")), default="")
    shutil.copytree(
        log, aside / LOG, ignore=lambda _, names: [name for name in names if name[:1].isdigit() and name < since]
    )
    DeltaTable(str(aside)).create_checkpoint()
    newest = max(path.name[:DIGITS] for path in (aside / LOG).glob("*.checkpoint.parquet"))
    for path in sorted((aside / LOG).glob(f"{newest}.checkpoint*")):
        replace_durably(path, log / path.name)
    if (aside / LOG / HINT).exists():  # why: delta-rs writes none where a process that was cut off left the checkpoint
        replace_durably(aside / LOG / HINT, log / HINT)
    shutil.rmtree(aside)
    return int(newest)


def is_checkpoint_due(version: int) -> bool:
    """Whether a checkpoint belongs after this version."""
    return version > 0 and version % COMMITS_PER_CHECKPOINT == 0
