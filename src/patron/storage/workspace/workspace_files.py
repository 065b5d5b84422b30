"""What is where in a workspace's folder, and which of it must be there."""

import re
from pathlib import Path

from patron.schema.common_sentences import IS_MISSING
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.settings import Settings
from patron.storage.workspace.workspace_identity import IDENTITY_FILE, RESTORE

PATH_UNUSABLE = Sentence(
    "path_unusable", "its path has {text}, which libraries that read tables take for something else"
)
OTHER_PATH = Sentence("other_path", "Choose another folder.")
MISSING_WITH = Sentence("missing_with", "is missing; also missing: {names}")

SETTINGS_FILE = "patron.toml"
POLICY_FILE = "policy.toml"
RUN_LOCK_FILE, COMMIT_LOCK_FILE = "run.lock", "workspace.lock"
STORE_FILE, STORE_BOUND_FILE = "store.db", "store.commits"
INBOX_FILE, INBOX_BOUND_FILE = "inbox.db", "inbox.commits"
TRACKING_FOLDER = "tracking"
OFFER_RULES_FILE = "offer_rules.toml"
"""Which offers help against which reason for leaving; a workspace need not have it."""
PRODUCT_EDGES_FILE = "product_edges.csv"
"""Complements, substitutes and experts' rules between products; a workspace need not have it."""
IMAGE_VECTORS_FILE = "image_vectors.parquet"
"""What products look like, as vectors of their pictures; a workspace need not have it."""
MAPPINGS_FOLDER = "mappings"
"""Mappings that people made in the console; a workspace need not have it."""
DATA_FOLDERS = ("lake", "models", "outbox")
SCRATCH_FOLDER = "tmp"
LOCKS_FOLDER = "locks"
"""Locks of those who send campaigns."""
PREVIEW_PREFIX = "preview-"
"""How folders in SCRATCH_FOLDER begin that hold the copy of a workspace in which a run is previewed."""
WORKSPACE_FILE_NAMES = frozenset(
    {
        IDENTITY_FILE,
        SETTINGS_FILE,
        POLICY_FILE,
        OFFER_RULES_FILE,
        PRODUCT_EDGES_FILE,
        IMAGE_VECTORS_FILE,
        RUN_LOCK_FILE,
        COMMIT_LOCK_FILE,
        LOCKS_FOLDER,
        MAPPINGS_FOLDER,
        STORE_FILE,
        STORE_BOUND_FILE,
        INBOX_FILE,
        INBOX_BOUND_FILE,
    }
)


def missing_parts(folder: Path, settings: Settings) -> list[str]:
    """Files and folders that every workspace has and this one lacks; scratch is made again, so it is none of them."""
    store = () if settings.store_url else (STORE_FILE, STORE_BOUND_FILE)
    files = [name for name in (SETTINGS_FILE, POLICY_FILE, *store) if not (folder / name).is_file()]
    return files + [name for name in DATA_FOLDERS if not (folder / name).is_dir()]


def require_usable_path(folder: Path) -> Path:
    """The folder. Raises WorkspaceError where Delta would unescape its letters, or DuckDB read other folders' files."""
    if found := re.search(r"%[0-9a-fA-F]{2}|[*\\]", str(folder)):
        raise WorkspaceError(PATH_UNUSABLE(text=found.group()), where=str(folder), todo=OTHER_PATH)
    return folder


def require_parts(folder: Path, settings: Settings) -> None:
    """Raise WorkspaceError for a workspace that lacks a part: it is never made again as if it had been empty."""
    missing = missing_parts(folder, settings)
    if missing:
        what = MISSING_WITH(names=", ".join(missing[1:])) if len(missing) > 1 else IS_MISSING
        raise WorkspaceError(what, where=str(folder / missing[0]), todo=RESTORE)
