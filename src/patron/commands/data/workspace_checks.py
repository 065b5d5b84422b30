"""What `patron doctor` looks at of a workspace as a whole: identity, store, key, audit log, and who can read it."""

from collections.abc import Iterator
from pathlib import Path

from patron.commands.data.findings import Finding
from patron.govern.access import audit_log
from patron.govern.access.audit_texts import old_text_count
from patron.govern.customers.contact_cards import are_outdated
from patron.govern.vault import Vault
from patron.schema.common_sentences import AT_PLACE, DOCTOR_ENTRIES_SOUND, SETTING_MISSING
from patron.schema.errors import MasterKeyError, NoSpace, OlderWorkspace, PatronError
from patron.schema.sentences import Sentence
from patron.storage.settings import Settings, load_settings
from patron.storage.shop import Shop
from patron.storage.store.embedded_store import damage_of, is_plain, store_key
from patron.storage.workspace.workspace_files import SETTINGS_FILE, STORE_FILE, missing_parts
from patron.storage.workspace.workspace_identity import (
    ACCEPT_LOSS,
    IDENTITY_FILE,
    RESTORE,
    WorkspaceIdentity,
    read_identity,
)
from patron.storage.workspace.workspace_store import key_place

DOCTOR_LOOSE_MODES = Sentence("doctor.loose_modes", "{count:,} files or folders can be read by others, such as {path}")
CHECKED_AFTER_UPGRADE = Sentence(
    "doctor.checked_after_upgrade", "{problem}; the rest can be checked once it is upgraded"
)
DOCTOR_NOT_ENCRYPTED = Sentence("doctor.not_encrypted", "{name} is not encrypted: it is not this workspace's")
DOCTOR_IS_SOUND = Sentence("doctor.is_sound", "{name} is sound")
DOCTOR_KEY_FITS = Sentence("doctor.key_fits", "{name} fits this workspace")
DOCTOR_CHMOD = Sentence("doctor.chmod", "Run `chmod -R go= {paths}`.")
DOCTOR_MODES_SOUND = Sentence("doctor.modes_sound", "only the owner can read the workspace")
DOCTOR_NEEDS_MASTER_KEY = Sentence("doctor.needs_master_key", "{name} cannot be checked without the master key")
DOCTOR_PUT_KEY_BACK = Sentence("doctor.put_key_back", "Put the key back.")
DOCTOR_OLD_TEXTS = Sentence(
    "doctor.old_texts", "{count:,} entries of an earlier version hold tags or search words in clear"
)
DOCTOR_FORGET_REPLACES = Sentence(
    "doctor.forget_replaces", "The next `patron forget` replaces them; repeating an earlier one does, too."
)

DOCTOR_OLD_CARDS = Sentence(
    "doctor.old_cards",
    "names of customers that came before this version, such as Shopify's Billing Name, are not read yet",
)
DOCTOR_REINDEX = Sentence("doctor.reindex", "Run `patron identity reindex`.")
DOCTOR_NAMES_SOUND = Sentence("doctor.names_sound", "every name can be found")

OTHERS = 0o077
"""Bits of a mode that let others than the owner in."""


def refusal_findings(folder: Path, refused: PatronError) -> Iterator[Finding]:
    """Why a workspace does not open, and what can be looked at nevertheless."""
    if isinstance(refused, OlderWorkspace):
        what = CHECKED_AFTER_UPGRADE(problem=refused.what)
        yield Finding("store", "warning", what, refused.todo)
        return
    check = "master key" if isinstance(refused, MasterKeyError) else "workspace"
    yield Finding(check, "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
    try:
        identity, settings = read_identity(folder), load_settings(folder / SETTINGS_FILE)
    except PatronError:
        return
    if identity is None:
        if (folder / STORE_FILE).exists():
            yield Finding("identity", "problem", SETTING_MISSING(setting=IDENTITY_FILE), RESTORE)
        return
    for name in missing_parts(folder, settings):
        yield Finding(Path(name).stem, "problem", SETTING_MISSING(setting=name), RESTORE)
    if not settings.store_url and (folder / STORE_FILE).exists():
        yield from _pages(folder, settings, identity)
    yield from mode_findings(folder)


def store_findings(shop: Shop) -> Iterator[Finding]:
    """Whether the store is as it was written."""
    if shop.store.file:
        yield from _pages(shop.folder, shop.settings, shop.identity)
    else:
        yield Finding("store", "ok", shop.store.engine.url.render_as_string(hide_password=True))


def _pages(folder: Path, settings: Settings, identity: WorkspaceIdentity) -> Iterator[Finding]:
    """Whether every page of the embedded store is as it was written; its key shows it."""
    path = folder / STORE_FILE
    if is_plain(path):
        yield Finding("store", "problem", DOCTOR_NOT_ENCRYPTED(name=STORE_FILE), RESTORE)
        return
    try:
        master = key_place(folder, settings, identity.workspace_id).read()
    except MasterKeyError:
        yield Finding("store", "warning", DOCTOR_NEEDS_MASTER_KEY(name=STORE_FILE), DOCTOR_PUT_KEY_BACK)
        return
    try:
        damage = damage_of(path, store_key(master, identity.workspace_id))
    except NoSpace as full:
        yield Finding("store", "problem", AT_PLACE(place=STORE_FILE, reasons=full.what), full.todo)
        return
    if damage:
        yield Finding("store", "problem", AT_PLACE(place=STORE_FILE, reasons=damage), RESTORE)
    else:
        yield Finding("store", "ok", DOCTOR_IS_SOUND(name=STORE_FILE))


def key_findings(shop: Shop) -> Iterator[Finding]:
    """Whether the master key is there and fits."""
    try:
        Vault.open(shop)
    except PatronError as refused:
        yield Finding("master key", "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
    else:
        yield Finding("master key", "ok", DOCTOR_KEY_FITS(name=shop.master_key_place.name))


def audit_findings(shop: Shop) -> Iterator[Finding]:
    """Whether the audit log is as it was written, up to its last entry."""
    problem = audit_log.log_problem(shop)
    if problem:
        # why: machines that share a store on a server have a head each, and one that never wrote has none
        is_shared = shop.store.file is None and "head is missing" in problem
        yield Finding("audit log", "warning" if is_shared else "problem", problem, ACCEPT_LOSS)
    else:
        yield Finding("audit log", "ok", DOCTOR_ENTRIES_SOUND(count=audit_log.size(shop.store)))
    if count := old_text_count(shop):
        yield Finding("audit log", "warning", DOCTOR_OLD_TEXTS(count=count), DOCTOR_FORGET_REPLACES)


def name_findings(shop: Shop) -> Iterator[Finding]:
    """Whether names of customers are read as this version reads them."""
    if are_outdated(shop.store):
        yield Finding("names", "warning", DOCTOR_OLD_CARDS, DOCTOR_REINDEX)
    else:
        yield Finding("names", "ok", DOCTOR_NAMES_SOUND)


def mode_findings(folder: Path, *outside: Path) -> Iterator[Finding]:
    """Whether others than the owner can read a file or open a folder, of the workspace or of those outside."""
    places = [*outside, folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    loose = [path for path in places if path.exists() and path.stat().st_mode & OTHERS]
    if loose:
        what = DOCTOR_LOOSE_MODES(count=len(loose), path=loose[0])
        targets = " ".join(str(path) for path in (folder, *outside) if path == folder or path in loose)
        yield Finding("file modes", "warning", what, DOCTOR_CHMOD(paths=targets))
    else:
        yield Finding("file modes", "ok", DOCTOR_MODES_SOUND)
