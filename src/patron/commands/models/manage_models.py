"""What people decide about models: roll a question back to an earlier one, release it again, approve a model."""

from dataclasses import dataclass
from datetime import datetime

from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NEEDS_NAME, ONE_LINE_NO_PERSONAL, USE_NAMES
from patron.schema.errors import NotFound, SettingsError
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import (
    APPROVED,
    PINNABLE,
    PINNED,
    RELEASED,
    ModelDecision,
    active_pins,
    append_decision,
)
from patron.storage.models.model_history import find_model, kept_models
from patron.storage.models.model_registry import manifest_hashes
from patron.storage.shop import Shop

NOT_ROLLED_BACK = Sentence("not_rolled_back", "{name!r} cannot be rolled back")
NO_EARLIER_MODEL = Sentence("no_earlier_model", "there is no earlier model to roll back to")
NOT_PINNED = Sentence("not_pinned", "{name!r} is not pinned to a model")
MODELS_KEPT = Sentence("models_kept", "Each completed run keeps a model; `patron models list` shows them.")
PINNED_QUESTIONS = Sentence("pinned_questions", "Pinned questions: {names}.")

MAX_CHARACTERS = 300


@dataclass(frozen=True)
class Rollback:
    """A question that another model scores from the next run on."""

    question: str
    model_version: str
    """What scores from the next run on."""
    instead_of: str
    """What would have scored it, as far as it is fitted already."""
    reason: str
    last_run_as_of: datetime
    """Cutoff of the last run: run it again to have everybody scored at once."""


def roll_back(shop: Shop, question: str, *, version: str | None, reason: str, now: datetime) -> Rollback:
    """Pin a question to an earlier model: by default the one before the model that would score the next run.

    Raises NotFound, SettingsError without a reason, and LakeDamaged or WorkspaceError for a model that cannot score.
    """
    from patron.run import require_usable_models  # noqa: PLC0415 - with every learner

    if question not in PINNABLE:
        raise NotFound(NOT_ROLLED_BACK(name=question), where=question, todo=USE_NAMES(names=", ".join(PINNABLE)))
    note = _text(reason, "--reason")
    with shop.run_lock():
        current = find_model(shop.store, question)
        target = f"{question}/{version}" if version else _before(shop, current.model_version)
        pinned = find_model(shop.store, target).model_version
        last = shop.last_completed()
        newest = last.run.as_of if last else max(model.as_of for model in kept_models(shop.store))
        require_usable_models(shop, [pinned], newest)
        _record(shop, ModelDecision(pinned, PINNED, now, note))
    return Rollback(question, pinned, instead_of=current.model_version, reason=note, last_run_as_of=newest)


def release(shop: Shop, question: str, *, now: datetime) -> ModelDecision:
    """End the pin of a question, and return it: the champion of each run scores again. Raises NotFound."""
    with shop.run_lock():
        pin = active_pins(shop.store).get(question)
        if pin is None:
            pins = ", ".join(active_pins(shop.store)) or "none"
            raise NotFound(NOT_PINNED(name=question), where=question, todo=PINNED_QUESTIONS(names=pins))
        _record(shop, ModelDecision(pin.model_version, RELEASED, now))
    return pin


def approve(shop: Shop, model: str, *, name: str, note: str = "", now: datetime) -> ModelDecision:
    """Record that a person approves a model. Raises NotFound, SettingsError without a name."""
    version = find_model(shop.store, model).model_version
    manifest_sha256 = min(manifest_hashes(shop.store, version))
    approval = ModelDecision(
        version,
        APPROVED,
        decided_at=now,
        note=_text(note, "--note") if note else "",
        name=_text(name, "--as"),
        manifest_sha256=manifest_sha256,
    )
    _record(shop, approval)
    return approval


def _record(shop: Shop, decision: ModelDecision) -> None:
    """Record a decision, and in the audit log without notes and reasons: that log keeps everything for ever."""
    with shop.store.begin() as connection:
        append_decision(connection, decision)
        details = {"model_version": decision.model_version}
        audit_log.append(
            shop,
            connection,
            AuditAction(f"model {decision.decision}"),
            details,
            at=decision.decided_at,
            by=decision.name,
        )


def _before(shop: Shop, model_version: str) -> str:
    """The newest model of the same question that is older than this one. Raises NotFound."""
    question = model_version.partition("/")[0]
    newest_first = [model.model_version for model in kept_models(shop.store) if model.question == question]
    older = newest_first[newest_first.index(model_version) + 1 :]
    if not older:
        raise NotFound(
            NO_EARLIER_MODEL,
            where=model_version,
            todo=MODELS_KEPT,
        )
    return older[0]


def _text(text: str, where: str) -> str:
    """A line that a person wrote. Raises SettingsError for an empty or too long one."""
    line = text.strip()
    if not line or not line.isprintable() or len(line) > MAX_CHARACTERS:
        what = NEEDS_NAME(count=MAX_CHARACTERS)
        raise SettingsError(what, where=where, todo=ONE_LINE_NO_PERSONAL)
    return line
