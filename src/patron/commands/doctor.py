"""`patron doctor`: what is wrong with a workspace, and how to fix it."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import sqlalchemy as sa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlalchemy.exc import DatabaseError

from patron.collect.tracking_plan import load_tracking_plan
from patron.collect.validation import problem_message
from patron.collect.workspace_inbox import has_inbox, open_inbox
from patron.commands import doctor_files
from patron.commands.findings import RESTORE_HINT, Finding
from patron.govern import audit_log, consent_ledger
from patron.govern.master_key import key_place
from patron.govern.vault import Vault
from patron.schema.dead_letter_reasons import FAULTS, UNREADABLE, WITHOUT_CONTENT
from patron.schema.errors import PatronError, SettingsError
from patron.schema.events import BY_NAME as EVENT_NAMES
from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS, ERASURES

LOW_DISK_BYTES = 2_000_000_000
REPLAYS_NAMED = 3
IMPORT_HINT = (
    "Import a file: `patron import --mapping ... FILE`; or send events: `patron keys create`, then `patron serve`."
)


def doctor(folder: Path) -> tuple[Finding, ...]:
    """Look at every part of a workspace without changing it; a check that fails is a finding."""
    try:
        shop = Shop.open(folder, upgrade=False)
    except PatronError as refused:
        return (Finding("workspace", "problem", f"{refused.where}: {refused.what}", refused.todo), *_store_file(folder))
    try:
        if not shop.store.is_current():
            return tuple(_old_store(shop))
        return tuple(finding for name, check in CHECKS.items() for finding in _run_check(name, check, shop))
    finally:
        shop.close()


def _run_check(name: str, check: Callable[[Shop], Iterator[Finding]], shop: Shop) -> list[Finding]:
    """Findings of one check; that it failed is one too."""
    try:
        return list(check(shop))
    except (PatronError, DatabaseError, OSError) as error:
        what = str(error.orig) if isinstance(error, DatabaseError) else str(error)
        return [Finding(name, "problem", f"cannot be looked at ({what})", RESTORE_HINT)]


def _settings(shop: Shop) -> Iterator[Finding]:
    yield Finding(
        "settings", "ok", f"{shop.settings.shop.name}, {shop.settings.shop.currency}, {shop.settings.shop.time_zone}"
    )
    if not shop.policy.offers:
        yield Finding("policy", "warning", "no offers are declared", "Add an [[offers]] entry to policy.toml.")
    elif shop.policy.consent.unknown == "refuse" and not consent_ledger.size(shop.store):
        yield Finding(
            "policy",
            "warning",
            "customers of unknown consent get no offers, and no consent is known yet",
            "Send `Consent Given` events, or import a file that holds consent, such as Shopify's Accepts Marketing; or,"
            ' with a lawful basis to write to them without, set [consent] unknown = "allow" in policy.toml.',
        )
    else:
        yield Finding("policy", "ok", f"{len(shop.policy.offers)} offers, version {shop.policy.version}")


def _store_file(folder: Path) -> Iterator[Finding]:
    path = folder / "store.db"
    if not path.exists():
        return
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        answer = connection.execute("pragma quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        answer = str(error)
    finally:
        connection.close()
    if answer == "ok":
        yield Finding("store", "ok", "store.db is sound")
    else:
        yield Finding("store", "problem", f"store.db is damaged ({answer})", RESTORE_HINT)


def _old_store(shop: Shop) -> Iterator[Finding]:
    if shop.store.file and not shop.store.file.exists():
        yield Finding("store", "problem", f"{shop.store.file.name} is missing", RESTORE_HINT)
        return
    yield from _store(shop)
    yield Finding(
        "store",
        "warning",
        "was left by an older Patron; the rest can be looked at once it is upgraded",
        "Any other command upgrades it, such as `patron report`; then look again.",
    )


def _store(shop: Shop) -> Iterator[Finding]:
    if shop.store.file:
        yield from _store_file(shop.folder)
    else:
        yield Finding("store", "ok", shop.store.engine.url.render_as_string(hide_password=True))


def _key(shop: Shop) -> Iterator[Finding]:
    try:
        Vault.open(shop)
    except PatronError as refused:
        yield Finding("master key", "problem", f"{refused.where}: {refused.what}", refused.todo)
    else:
        yield Finding("master key", "ok", f"{key_place(shop)} fits this workspace")


def _lake(shop: Shop) -> Iterator[Finding]:
    written = sorted(name for name, table in BY_NAME.items() if shop.lake.exists(table))
    for name in written:
        yield from _table(shop, name)
    if not written:
        yield Finding("lake", "warning", "no table has rows yet", IMPORT_HINT)


def _table(shop: Shop, name: str) -> Iterator[Finding]:
    try:
        delta = DeltaTable(str(shop.lake.folder / name))
        actions = delta.get_add_actions(flatten=True)
        sizes = dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))
    except DeltaError:
        yield Finding(f"lake/{name}", "problem", "the table's log cannot be read", RESTORE_HINT)
        return
    bad = [path for path, size in sizes.items() if not _has_size(shop.lake.folder / name / path, size)]
    if bad:
        yield Finding(f"lake/{name}", "problem", f"{len(bad)} files are missing or cut, such as {bad[0]}", RESTORE_HINT)
    else:
        yield Finding(
            f"lake/{name}", "ok", f"version {delta.version()}, {len(sizes)} files, {sum(sizes.values()):,} bytes"
        )


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _inbox(shop: Shop) -> Iterator[Finding]:
    if not has_inbox(shop):
        yield Finding("inbox", "ok", "no live events received yet")
        return
    try:
        with open_inbox(shop) as inbox:
            inbox.check()
            yield Finding("inbox", "ok", f"sound; {inbox.pending_count():,} requests wait to be moved into the lake")
    except PatronError as refused:
        yield Finding("inbox", "problem", f"{refused.where}: {refused.what}", refused.todo)


def _runs(shop: Shop) -> Iterator[Finding]:
    snapshot = shop.snapshot()
    if snapshot is None:
        todo = "Run `patron run --as-of YYYY-MM-DD` with a day after the first orders."
        yield Finding("runs", "warning", "no run has finished yet", todo)
        return
    for name, version in snapshot.pinned.items():
        if version is None:
            continue
        try:
            gone = [uri for uri in shop.lake.files(BY_NAME[name], version) if not Path(uri).is_file()]
        except PatronError as refused:
            gone = [refused.what]
        if gone:
            yield Finding(
                "runs", "problem", f"the last run's version of {name} is gone ({gone[0]})", "Run the run again."
            )
            return
    yield Finding("runs", "ok", f"last finished run: {snapshot.run.run_id}")


def _plan(shop: Shop) -> Iterator[Finding]:
    """Whether the tracking plan can be used, and is about events that somebody sends."""
    try:
        plan = load_tracking_plan(shop.folder, is_strict=False)
    except SettingsError as refused:
        yield Finding("tracking plan", "problem", f"{refused.where}: {refused.what}", refused.todo)
        return
    known = {name.casefold(): name for name in EVENT_NAMES}
    misspelt = [name for name in plan.schemas if name not in EVENT_NAMES and name.casefold() in known]
    for name in misspelt:
        what = f"{name}.json is about an event that nobody sends by this name"
        yield Finding("tracking plan", "warning", what, f"Call it {known[name.casefold()]}.json.")
    if not misspelt:
        unknown = sum(name not in EVENT_NAMES for name in plan.schemas)
        what = (
            f"{len(plan.schemas)} events, {unknown} of them not in the catalogue" if plan.schemas else "there is none"
        )
        yield Finding("tracking plan", "ok", what)


def _dead_letters(shop: Shop) -> Iterator[Finding]:
    """Rejected events by reason: faults with their imports, and what is left out on purpose."""
    letter = DEAD_LETTERS.c
    one_of = sa.func.min(letter.file + " line " + sa.cast(letter.row_number, sa.String) + ": " + letter.message)
    counted = sa.select(letter.reason, letter.import_id, sa.func.count(), one_of, sa.func.max(letter.file))
    with shop.store.begin() as connection:
        rows = connection.execute(
            counted.where(letter.reason.not_in(WITHOUT_CONTENT))  # why: nothing is to be fixed there
            .group_by(letter.reason, letter.import_id)
            .order_by(letter.reason, sa.func.count().desc(), letter.import_id)
        ).all()
    by_reason = {reason: list(group) for reason, group in groupby(rows, key=lambda row: row[0])}
    faults = {reason: of for reason, of in by_reason.items() if reason in FAULTS}
    for reason, of in faults.items():
        example = of[0][3] if of[0][4] else of[0][3].partition(": ")[2]
        what = f"{sum(row[2] for row in of):,} rejected events: {reason}, such as: {example}"
        repaired = "Repair the file and import it again." if reason in UNREADABLE else ""
        yield Finding("dead letters", "warning", what, repaired or _replay_hint([row[1] for row in of]))
    for reason in by_reason.keys() - faults:
        count = sum(row[2] for row in by_reason[reason])
        yield Finding("dead letters", "ok", f"{count:,} left out on purpose: {reason}, {problem_message(reason)[1]}")
    if not rows:
        yield Finding("dead letters", "ok", "none")


def _replay_hint(imports: list[str]) -> str:
    """How to try the events of these imports again, those with most events first."""
    named = [f"`patron import --replay {import_id}`" for import_id in imports if import_id]
    if not named:
        return "Send them again, fixed."
    more = f" and of {len(named) - REPLAYS_NAMED} more imports" if len(named) > REPLAYS_NAMED else ""
    return f"Fix the cause, then {', '.join(named[:REPLAYS_NAMED])}{more}."


def _audit(shop: Shop) -> Iterator[Finding]:
    log = audit_log.entries(shop.store)
    broken = audit_log.first_damaged_entry(log)
    if broken is None:
        yield Finding("audit log", "ok", f"{len(log)} entries, none damaged")
    else:
        yield Finding("audit log", "problem", f"entry {broken} was changed, or one before it is missing", RESTORE_HINT)
    broken = consent_ledger.first_damaged_entry(shop.store)
    if broken is None:
        yield Finding("ledger of consents", "ok", f"{consent_ledger.size(shop.store)} entries, none damaged")
    else:
        what = f"entry {broken} was changed, or one before it is missing"
        yield Finding("ledger of consents", "problem", what, RESTORE_HINT)
    with shop.store.begin() as connection:
        unfinished = connection.scalar(sa.select(sa.func.count()).select_from(ERASURES))
    if unfinished:
        yield Finding("erasures", "problem", f"{unfinished} were cut off", "Run the same `patron forget` again.")


def _disk(shop: Shop) -> Iterator[Finding]:
    free = shutil.disk_usage(shop.folder).free
    if free < LOW_DISK_BYTES:
        yield Finding("disk", "warning", f"only {free / 1e9:.1f} GB are free", "Free some space before the next run.")
    else:
        yield Finding("disk", "ok", f"{free / 1e9:.0f} GB free")


CHECKS: dict[str, Callable[[Shop], Iterator[Finding]]] = {
    "settings": _settings,
    "store": _store,
    "master key": _key,
    "lake": _lake,
    "inbox": _inbox,
    "runs": _runs,
    "tracking plan": _plan,
    "changes": doctor_files.changed_since_run,
    "outbox": doctor_files.outbox,
    "dead letters": _dead_letters,
    "audit log": _audit,
    "disk": _disk,
}
"""The checks, in order."""
