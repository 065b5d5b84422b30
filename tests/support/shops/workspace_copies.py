"""Copies of workspaces that may be open."""

import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from patron.govern.access import audit_log
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_identity import new_instance, read_identity, write_identity


def copy_files(source: Path, target: Path) -> Path:
    """Copy a workspace file by file."""
    # why in another process: closing `store.db-shm` ends all locks that this process has on it, also those of its open
    # store; whoever closes the store next then believes to be the last, and deletes the log that is still written to
    subprocess.run(["cp", "-R", str(source), str(target)], check=True)  # noqa: S607 - of the system
    return target


def copy_workspace(source: Path, target: Path) -> Path:
    """Copy a workspace, as `patron restore` does: its audit log has a head of its own, and the original may go on."""
    copy_files(source, target)
    identity = read_identity(target)
    assert identity is not None
    write_identity(target, replace(identity, instance=new_instance()))
    with closing(Shop.open(target)) as shop:
        audit_log.renew_head(shop)
    return target
