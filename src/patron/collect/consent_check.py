"""Consent of incoming events: consent events go to the ledger, and behaviour without the consent it needs is marked.

As the policy says, such behaviour is kept and flagged, or rejected without its content. What a client states in the
context of an event (Segment's and RudderStack's consent managers do) counts before the ledger, which holds the latest
answer of the user, or else of the device, at the time of the event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.event_flags import add_flag
from patron.govern.privacy.consent_ledger import (
    CONSENT,
    GRANTED,
    WITHDRAWN,
    Consent,
    Entry,
    event_hash,
    history,
    iso_time,
    latest_answer,
    wording_hash,
    words_place,
)
from patron.govern.privacy.personal_data import json_object, json_text
from patron.govern.vault import Vault
from patron.schema.common_sentences import TOO_LONG
from patron.schema.data.dead_letter_reasons import NO_CONSENT
from patron.schema.errors import BadEvent
from patron.schema.events import NEEDS_NO_CONSENT
from patron.schema.sentences import Sentence
from patron.storage.offers.policy import Consent as ConsentPolicy
from patron.storage.store.store import Store

USER_NEEDS_SECRET = Sentence("user_needs_secret", "counts for a user with a secret key only")
SEND_FROM_SERVER = Sentence("send_from_server", "Send it from the shop's server.")
SHORTER_NAME = Sentence("shorter_name", "Send a shorter name.")

CONSENT_STATED = "consent_stated"
"""Flag of behaviour whose client states that consent is granted."""
PREFERENCES = "Segment Consent Preference Updated"
"""Event of Segment's consent managers; its context holds yes or no by category."""
CONSENT_EVENTS = (GRANTED, WITHDRAWN, PREFERENCES)
MAX_NAME_LENGTH = 100
"""Characters of a purpose, and of what else is kept of a consent besides its words."""


def preferences_of(message: dict[str, Any]) -> dict[str, bool]:
    """Yes or no by the names in a client's consent manager, in small letters."""
    context = message.get("context")
    managers: dict[str, Any] = context if isinstance(context, dict) else {}
    segment, rudder = (managers.get(name) if isinstance(managers.get(name), dict) else {} for name in MANAGERS)
    categories = (segment or {}).get("categoryPreferences")
    answers = list(categories.items()) if isinstance(categories, dict) else []
    for ids, is_granted in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        listed = (rudder or {}).get(ids)
        # why: what is both allowed and denied is denied
        answers += [(one, is_granted) for one in listed] if isinstance(listed, list) else []
    named = ((str(name).strip().lower(), is_granted) for name, is_granted in answers if isinstance(is_granted, bool))
    return {name: is_granted for name, is_granted in named if 0 < len(name) <= MAX_NAME_LENGTH}


MANAGERS = ("consent", "consentManagement")


def consent_flags(
    row: dict[str, Any], message: dict[str, Any], consent_policy: ConsentPolicy, *, is_secret: bool
) -> list[str]:
    """Flags of a raw event from the consent that its client states. Raises BadEvent for what may not be sent.

    With a public key anybody could speak for a user: consent counts for the device then.
    """
    name = row["name"]
    if name in CONSENT_EVENTS and not is_secret and row["user_id"] is not None:
        if row["anonymous_id"] is None:
            raise BadEvent(USER_NEEDS_SECRET, where=name, todo=SEND_FROM_SERVER)
        row["user_id"] = None
    if name in CONSENT_EVENTS:
        kept = msgspec.json.decode(row["properties"] or "{}")
        if len(str(kept.get("purpose", ""))) > MAX_NAME_LENGTH:
            raise BadEvent(TOO_LONG(count=MAX_NAME_LENGTH), where="properties.purpose", todo=SHORTER_NAME)
        if name == PREFERENCES:
            row["properties"] = json_text({**kept, "preferences": preferences_of(message)})
    if not consent_policy.events_need or name in NEEDS_NO_CONSENT or name == PREFERENCES:
        return []
    answers = preferences_of(message)
    relevant = [answers[one] for one in consent_policy.names_of(consent_policy.events_need) if one in answers]
    is_granted = all(relevant) if relevant else None
    return [] if is_granted is None else [CONSENT_STATED if is_granted else NO_CONSENT]


def consents_of(vault: Vault, source: str, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> list[Consent]:
    """Consents for the ledger, from the consent events among accepted rows; `known_at` is one time a row."""
    is_chosen = pc.is_in(rows["name"], value_set=pa.array(CONSENT_EVENTS))
    columns = ["name", "event_id", "user_id", "anonymous_id", "occurred_at", "channel", "properties", "texts"]
    chosen = rows.append_column("_known", known_at).filter(is_chosen).select([*columns, "_known"])
    return [consent for row in chosen.to_pylist() for consent in _consents_of(vault, source, row)]


def _consents_of(vault: Vault, source: str, row: dict[str, Any]) -> Iterable[Consent]:
    properties, texts = (json_object(row[part]) for part in ("properties", "texts"))
    words = None if texts.get("wording") is None else str(texts["wording"])
    is_user = row["user_id"] is not None
    token = vault.token("user_id" if is_user else "anonymous_id", row["user_id"] if is_user else row["anonymous_id"])
    if row["name"] == PREFERENCES:
        preferences = properties.get("preferences")
        yes_or_no = {str(k): v is True for k, v in preferences.items()} if isinstance(preferences, dict) else {}
    else:
        yes_or_no = {str(properties.get("purpose", "")): row["name"] == GRANTED}
    for purpose, is_granted in yes_or_no.items():
        yield Consent(
            event_hash(source, row["event_id"]),
            token,
            purpose=_short(purpose) or "",
            is_granted=is_granted,
            basis=_short(properties.get("basis")) or CONSENT,
            wording=None if words is None else wording_hash(words),
            wording_version=_short(properties.get("wording_version")),
            policy_version=_short(properties.get("policy_version")),
            locale=_short(properties.get("locale")),
            channel=_short(row["channel"]),
            occurred_at=iso_time(row["occurred_at"]),
            known_at=iso_time(row["_known"]),
            sealed_words=None if words is None else vault.seal_text(words, words_place(wording_hash(words))),
        )


def _short(value: object) -> str | None:
    """A name or version, in small letters and cut to what may be kept of it."""
    return None if value is None else str(value).strip().lower()[:MAX_NAME_LENGTH]


@dataclass(frozen=True)
class ConsentCheck:
    """Checks whether behaviour has the consent that the policy requires."""

    store: Store
    vault: Vault
    consent_policy: ConsentPolicy
    unwritten: Sequence[Consent] = ()
    """Consents that are not in the ledger yet."""

    def apply(self, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Flag rows of behaviour without the consent they need, or mark them as rejected, as the policy says.

        Only consents count that were given by the time of an event, and known by the time that the event was known: a
        consent that comes later changes nothing, so the result is the same whenever rows are checked.
        """
        if not self.consent_policy.events_need or not rows.num_rows:
            return rows
        rows = add_flag(rows, NO_CONSENT, self._lacks_consent(rows, known_at))
        if self.consent_policy.without == "keep":
            return rows
        is_gone = pa.array([NO_CONSENT in (flags or ()) for flags in rows["flags"].to_pylist()], pa.bool_())
        is_gone = pc.and_(is_gone, pc.is_null(rows["problem"]))
        for name, value in (("problem", pa.scalar(NO_CONSENT)), ("payload", rows["event_id"])):
            changed = pc.if_else(is_gone, value, rows[name])
            rows = rows.set_column(rows.column_names.index(name), name, changed)
        return rows

    def _lacks_consent(self, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> list[bool]:
        names = ("name", "problem", "flags", "user_id", "anonymous_id", "occurred_at")
        events = list(zip(*(rows[name].to_pylist() for name in names), known_at.to_pylist(), strict=True))
        undecided = [_needs_ledger(name, problem, flags) for name, problem, flags, *_ in events]
        tokens: dict[tuple[str, str], str] = {}
        for is_undecided, (_, _, _, user, device, _, _) in zip(undecided, events, strict=True):
            if is_undecided:
                tokens |= {who: "" for who in (("user_id", user), ("anonymous_id", device)) if who[1]}
        tokens = {who: self.vault.token(*who) for who in tokens}
        ledger = self._ledger(tokens.values())
        lacking = []
        for is_undecided, (_, _, _, user, device, at, known) in zip(undecided, events, strict=True):
            who = (one for one in (("user_id", user), ("anonymous_id", device)) if is_undecided and one[1])
            answers = (latest_answer(ledger.get(tokens[one], ()), at, known) for one in who)
            is_granted = next((answer for answer in answers if answer is not None), None)
            lacking.append(is_undecided and not self.consent_policy.allows(is_granted=is_granted))
        return lacking

    def _ledger(self, tokens: Iterable[str]) -> dict[str, list[Entry]]:
        names = self.consent_policy.names_of(self.consent_policy.events_need)
        ledger: dict[str, list[Entry]] = {}
        for entry in history(self.store, tokens, names):
            ledger.setdefault(entry["token"], []).append(entry)
        for number, one in enumerate(self.unwritten):
            if one.purpose in names:
                ledger.setdefault(one.token, []).append({**vars(one), "entry": number})
        return ledger


def _needs_ledger(name: str, problem: str | None, flags: list[str] | None) -> bool:
    """Whether the ledger decides: for behaviour, unless the client itself states the consent."""
    is_behaviour = name not in NEEDS_NO_CONSENT and name != PREFERENCES
    return problem is None and is_behaviour and not {CONSENT_STATED, NO_CONSENT} & {*(flags or ())}
