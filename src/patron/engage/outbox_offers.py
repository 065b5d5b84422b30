"""Offers of a run that wait in its outbox folder: whether they were taken to be sent, and how they are held back.

Offers leave the outbox by a rename, so that either the mail system has the file or Patron has it, never both.
"""

from datetime import UTC, datetime
from pathlib import Path

from patron.storage.durable_files import sync

OFFERS = "offers_*.csv"
SENT = "sent"
"""File that a mail system leaves in the folder of a run whose files it has taken."""
HELD_BACK = ".held_back"
"""What the name of a file ends in that nobody may send any more."""


def is_sent(folder: Path) -> bool:
    """Whether a mail system reports that it took the files of a run's folder."""
    return (folder / SENT).exists()


def receipt_time(folder: Path) -> datetime:
    """When the mail system left its report."""
    return datetime.fromtimestamp((folder / SENT).stat().st_mtime, UTC)


def has_offers(folder: Path) -> bool:
    """Whether the offers of a run wait in its folder, or were held back there."""
    return any(folder.glob(OFFERS)) or any(_held_back(folder))


def hold_back_offers(folder: Path) -> None:
    """Rename the offers of a run, so that no mail system takes them."""
    for path in sorted(folder.glob(OFFERS)):
        path.rename(path.with_name(f".{path.name}{HELD_BACK}"))
    _sync_folder(folder)


def release_offers(folder: Path) -> None:
    """Give the offers that were held back their names again."""
    for path in _held_back(folder):
        path.rename(path.with_name(path.name.removeprefix(".").removesuffix(HELD_BACK)))
    _sync_folder(folder)


def remove_offers(folder: Path) -> None:
    """Delete the offers of a run, those held back included."""
    for path in (*sorted(folder.glob(OFFERS)), *_held_back(folder)):
        path.unlink(missing_ok=True)
    _sync_folder(folder)


def _held_back(folder: Path) -> list[Path]:
    return sorted(folder.glob(f".{OFFERS}{HELD_BACK}"))


def _sync_folder(folder: Path) -> None:
    if folder.is_dir():
        sync(folder)
