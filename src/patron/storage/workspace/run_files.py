"""Files that people touch, around a run: settings, policy, tracking plan, facts of products, offer rules, its outbox.

They are kept with the run's row, so that `patron doctor` can say what has changed since.
"""

import hashlib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from patron.storage.durable_files import sha256_of
from patron.storage.offers.policy import Policy
from patron.storage.settings import Settings
from patron.storage.store.store import RUNS, Store
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE

FILES = "files"
"""Key of a run's summary."""
SETTINGS = "settings"
POLICY = "policy"
TRACKING = "tracking"
EDGES = "edges"
IMAGES = "images"
OUTBOX = "outbox"
RULES = "offer_rules"
PLACES = frozenset({"store_url", "inbox_url", "master_key_file"})
"""Settings that are not kept: they may hold a password."""


def files_of_run(folder: Path, settings: Settings, policy: Policy, run_id: str) -> dict[str, dict[str, Any]]:
    """Settings and policy by key, and SHA-256 of tracking plan, facts of products, offer rules and outbox."""
    return {
        SETTINGS: dict(_leaves(settings.model_dump(mode="json", exclude=set(PLACES)))),
        POLICY: dict(_leaves(policy.model_dump(mode="json"))),
        TRACKING: digests_of(folder / "tracking", "*.json"),
        EDGES: digests_of(folder, PRODUCT_EDGES_FILE),
        IMAGES: digests_of(folder, IMAGE_VECTORS_FILE),
        RULES: digests_of(folder, OFFER_RULES_FILE),
        OUTBOX: digests_of(folder / "outbox" / run_id),
    }


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value within sections and lists, under its dotted name."""
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        inner = enumerate(value)
    else:
        yield name, value
        return
    for key, part in inner:
        yield from _leaves(part, f"{name}.{key}" if name else str(key))


def digests_of(folder: Path, pattern: str = "*") -> dict[str, str]:
    """SHA-256 of the files in a folder, by name; nothing for a folder that is not there."""
    return {path.name: sha256_of(path) for path in sorted(folder.glob(pattern)) if path.is_file()}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of values, a phrase each."""
    texts = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            texts.append(f"{name} is gone")
        elif name not in before:
            texts.append(f"{name} is new")
        elif before[name] != now[name]:
            texts.append(f"{name} was {before[name]!r}, is {now[name]!r}")
    return texts


def outbox_digests(store: Store, run_id: str) -> dict[str, str]:
    """SHA-256 of the outbox files that a completed run left, by name; nothing for another run."""
    with store.begin() as connection:
        summary = connection.scalar(sa.select(RUNS.c.summary).where(RUNS.c.run_id == run_id))
    return dict((summary or {}).get(FILES, {}).get(OUTBOX, {}))


def run_offers(store: Store, run_id: str) -> dict[str, dict[str, Any]]:
    """Terms of the offers of a completed run, as its policy had them, by id; nothing for another run."""
    with store.begin() as connection:
        summary = connection.scalar(sa.select(RUNS.c.summary).where(RUNS.c.run_id == run_id))
    by_place: dict[str, dict[str, Any]] = {}
    for name, value in (summary or {}).get(FILES, {}).get(POLICY, {}).items():
        section, _, key = name.partition(".")
        if section == "offers":
            place, _, term = key.partition(".")
            by_place.setdefault(place, {})[term] = value
    return {offer["id"]: offer for offer in by_place.values() if "id" in offer}


def record_outbox_file(store: Store, run_id: str, name: str, content: bytes) -> None:
    """Keep the digest of an outbox file that is about to be rewritten; a run that kept none stays as it is."""
    with store.begin() as connection:
        summary = connection.scalar(sa.select(RUNS.c.summary).where(RUNS.c.run_id == run_id))
        if summary is None or name not in summary.get(FILES, {}).get(OUTBOX, {}):
            return
        files = summary[FILES]
        outbox = {**files[OUTBOX], name: hashlib.sha256(content).hexdigest()}
        renewed = {**summary, FILES: {**files, OUTBOX: outbox}}
        connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(summary=renewed))


def drop_outbox_files(connection: sa.Connection, *, run_id: str | None = None, pattern: str = "*") -> None:
    """Keep no digest of outbox files, of one run or of all: nobody misses them who looks for them there."""
    for run, summary in connection.execute(sa.select(RUNS.c.run_id, RUNS.c.summary)).all():
        if run_id in (None, run) and summary and OUTBOX in summary.get(FILES, {}):
            kept = {name: one for name, one in summary[FILES][OUTBOX].items() if not fnmatch(name, pattern)}
            renewed = {**summary, FILES: {**summary[FILES], OUTBOX: kept}}
            connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run).values(summary=renewed))
