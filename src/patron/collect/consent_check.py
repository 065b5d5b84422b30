"""Consent where events come in: what was told goes to the ledger, and behaviour without the consent it needs is marked.

As the policy says, such behaviour is kept and flagged, or set aside without its content. What a client says beside an
event (Segment's and RudderStack's consent managers do) counts before the ledger, which is asked what the user, or else
the device, had last told by the time of the event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.event_flags import add_flag
from patron.govern.consent_ledger import (
    CONSENT,
    GIVEN,
    WITHDRAWN,
    Consent,
    Entry,
    event_of,
    history,
    last_word,
    written,
)
from patron.govern.vault import Vault
from patron.schema.dead_letter_reasons import NO_CONSENT
from patron.schema.errors import BadEvent
from patron.schema.events import NEEDS_NO_CONSENT
from patron.schema.personal_data import json_text
from patron.storage.policy import Consent as Promise
from patron.storage.store import Store

CONSENT_TOLD = "consent_told"
"""Flag of behaviour whose client says that its consent is given."""
PREFERENCES = "Segment Consent Preference Updated"
"""Event of Segment's consent managers; its context holds yes or no by category."""
TELLS_CONSENT = (GIVEN, WITHDRAWN, PREFERENCES)
LONGEST_NAME = 100
"""Characters of a purpose, and of what else is kept of a consent besides its words."""


def preferences_of(message: dict[str, Any]) -> dict[str, bool]:
    """Yes or no by the names that a client's consent manager says beside an event, in small letters."""
    context = message.get("context")
    said: dict[str, Any] = context if isinstance(context, dict) else {}
    segment, rudder = (said.get(name) if isinstance(said.get(name), dict) else {} for name in MANAGERS)
    categories = (segment or {}).get("categoryPreferences")
    told = list(categories.items()) if isinstance(categories, dict) else []
    for ids, is_granted in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        listed = (rudder or {}).get(ids)
        # why: what is both allowed and denied is denied
        told += [(one, is_granted) for one in listed] if isinstance(listed, list) else []
    named = ((str(name).strip().lower(), is_granted) for name, is_granted in told if isinstance(is_granted, bool))
    return {name: is_granted for name, is_granted in named if 0 < len(name) <= LONGEST_NAME}


MANAGERS = ("consent", "consentManagement")


def judged_by_message(row: dict[str, Any], message: dict[str, Any], promise: Promise, *, is_secret: bool) -> list[str]:
    """Flags of a told row by what its client says of consent. Raises BadEvent for what may not be taken.

    With a public key anybody could speak for a user: consent counts for the device then.
    """
    name = row["name"]
    if name in TELLS_CONSENT and not is_secret and row["user_id"] is not None:
        if row["anonymous_id"] is None:
            raise BadEvent(
                "counts for a user with a secret key only", where=name, todo="Send it from the shop's server."
            )
        row["user_id"] = None
    kept = msgspec.json.decode(row["properties"] or "{}") if name in TELLS_CONSENT else {}
    if len(str(kept.get("purpose", ""))) > LONGEST_NAME:
        raise BadEvent(
            f"is longer than {LONGEST_NAME} characters", where="properties.purpose", todo="Send a shorter name."
        )
    if name == PREFERENCES:
        row["properties"] = json_text({**kept, "preferences": preferences_of(message)})
    if not promise.events_need or name in NEEDS_NO_CONSENT or name == PREFERENCES:
        return []
    told = preferences_of(message)
    said = [told[one] for one in promise.names_of(promise.events_need) if one in told]
    is_granted = all(said) if said else None
    return [] if is_granted is None else [CONSENT_TOLD if is_granted else NO_CONSENT]


def told_consents(vault: Vault, source: str, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> list[Consent]:
    """What good checked rows, known since a time each, tell of consent, for the ledger."""
    is_chosen = pc.is_in(rows["name"], value_set=pa.array(TELLS_CONSENT))
    columns = ["name", "event_id", "user_id", "anonymous_id", "occurred_at", "channel", "properties"]
    chosen = rows.append_column("_known", known_at).filter(is_chosen).select([*columns, "_known"])
    return [one for row in chosen.to_pylist() for one in _consents_of(vault, source, row)]


def _consents_of(vault: Vault, source: str, row: dict[str, Any]) -> Iterable[Consent]:
    said = msgspec.json.decode(row["properties"] or "{}")
    is_user = row["user_id"] is not None
    token = vault.token("user_id" if is_user else "anonymous_id", row["user_id"] if is_user else row["anonymous_id"])
    if row["name"] == PREFERENCES:
        given = said.get("preferences")
        yes_or_no = {str(k): v is True for k, v in given.items()} if isinstance(given, dict) else {}
    else:
        yes_or_no = {str(said.get("purpose", "")): row["name"] == GIVEN}
    for purpose, is_granted in yes_or_no.items():
        yield Consent(
            event_of(source, row["event_id"]),
            token,
            _short(purpose) or "",
            is_granted,
            _short(said.get("basis")) or CONSENT,
            _text(said.get("wording")),
            _short(said.get("wording_version")),
            _short(said.get("policy_version")),
            _short(said.get("locale")),
            _short(row["channel"]),
            occurred_at=written(row["occurred_at"]),
            known_at=written(row["_known"]),
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _short(value: object) -> str | None:
    """A name or version, in small letters and cut to what may be kept of it."""
    return None if value is None else str(value).strip().lower()[:LONGEST_NAME]


@dataclass(frozen=True)
class Judge:
    """Who says whether behaviour has the consent it needs."""

    store: Store
    vault: Vault
    promise: Promise
    ahead: Sequence[Consent] = ()
    """What was told and is not in the ledger yet."""

    def judged(self, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Flag checked rows of behaviour without the consent it needs, or mark them as dead; others stay as they are.

        What counts is what was told by the time of an event and known by the time that the event itself is known from:
        a consent that comes later changes nothing, so that rows are judged the same whenever it is.
        """
        if not self.promise.events_need or not rows.num_rows:
            return rows
        rows = add_flag(rows, NO_CONSENT, self._lacking(rows, known_at))
        if self.promise.without == "keep":
            return rows
        is_gone = pa.array([NO_CONSENT in (flags or ()) for flags in rows["flags"].to_pylist()], pa.bool_())
        is_gone = pc.and_(is_gone, pc.is_null(rows["problem"]))
        for name, value in (("problem", pa.scalar(NO_CONSENT)), ("payload", rows["event_id"])):
            changed = pc.if_else(is_gone, value, rows[name])
            rows = rows.set_column(rows.column_names.index(name), name, changed)
        return rows

    def _lacking(self, rows: pa.Table, known_at: pa.Array | pa.ChunkedArray) -> list[bool]:
        names = ("name", "problem", "flags", "user_id", "anonymous_id", "occurred_at")
        told = list(zip(*(rows[name].to_pylist() for name in names), known_at.to_pylist(), strict=True))
        asked = [_is_asked(name, problem, flags) for name, problem, flags, *_ in told]
        tokens: dict[tuple[str, str], str] = {}
        for is_asked, (_, _, _, user, device, _, _) in zip(asked, told, strict=True):
            if is_asked:
                tokens |= {who: "" for who in (("user_id", user), ("anonymous_id", device)) if who[1]}
        tokens = {who: self.vault.token(*who) for who in tokens}
        ledger = self._ledger(tokens.values())
        lacking = []
        for is_asked, (_, _, _, user, device, at, known) in zip(asked, told, strict=True):
            who = (one for one in (("user_id", user), ("anonymous_id", device)) if is_asked and one[1])
            said = (last_word(ledger.get(tokens[one], ()), at, known) for one in who)
            is_granted = next((one for one in said if one is not None), None)
            lacking.append(is_asked and not self.promise.allows(is_granted=is_granted))
        return lacking

    def _ledger(self, tokens: Iterable[str]) -> dict[str, list[Entry]]:
        names = self.promise.names_of(self.promise.events_need)
        ledger: dict[str, list[Entry]] = {}
        for entry in history(self.store, tokens, names):
            ledger.setdefault(entry["token"], []).append(entry)
        for number, one in enumerate(self.ahead):
            if one.purpose in names:
                ledger.setdefault(one.token, []).append({**vars(one), "entry": number})
        return ledger


def _is_asked(name: str, problem: str | None, flags: list[str] | None) -> bool:
    """Whether the ledger decides: behaviour of which the client itself said nothing."""
    is_behaviour = name not in NEEDS_NO_CONSENT and name != PREFERENCES
    return problem is None and is_behaviour and not {CONSENT_TOLD, NO_CONSENT} & {*(flags or ())}
