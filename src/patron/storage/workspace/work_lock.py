"""A lock on one piece of work, such as sending a campaign: the rest of the workspace is not held up."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from patron.schema.errors import WorkspaceBusy
from patron.storage.durable_files import make_private_folder
from patron.storage.workspace.workspace_files import LOCKS_FOLDER
from patron.storage.workspace.workspace_lock import WorkspaceLock


@contextmanager
def hold_work_lock(workspace: Path, work: str, name: str, refusal: WorkspaceBusy) -> Iterator[None]:
    """Be the only process at some work on what has a name. Raises the refusal at once where another one is."""
    folder = workspace / LOCKS_FOLDER
    make_private_folder(folder)
    lock = WorkspaceLock(folder / f"{work}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.hold(timeout_seconds=0))
        except WorkspaceBusy as error:
            raise refusal from error
        yield
