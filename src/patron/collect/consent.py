"""Consent where events come in: what was told goes to the ledger, and behaviour without the consent it needs is marked.

As the policy says, such behaviour is kept and flagged, or set aside without its content. What a client says beside an
event (Segment's and RudderStack's consent managers do) counts before the ledger, which is asked what the user, or else
the device, had last told by the time of the event.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from patron.base.errors import BadEvent
from patron.base.events import NEEDS_NO_CONSENT
from patron.base.policy import Consent as Promise
from patron.base.split import json_text
from patron.base.store import Store
from patron.govern.consent import CONSENT, GIVEN, WITHDRAWN, Consent, history, is_given_at, written
from patron.govern.vault import Vault

NO_CONSENT = "no_consent"
"""Flag of behaviour that was kept without consent, and reason code of what was set aside."""
TOLD = "consent_told"
"""Flag of behaviour whose client says that its consent is given."""
PREFERENCES = "Segment Consent Preference Updated"
"""Event of Segment's consent managers; its context holds yes or no by category."""
TELLS_CONSENT = (GIVEN, WITHDRAWN, PREFERENCES)


def preferences_of(message: dict[str, Any], promise: Promise) -> dict[str, bool]:
    """Yes or no by purpose, as a client's consent manager says beside an event."""
    context = message.get("context")
    said: dict[str, Any] = context if isinstance(context, dict) else {}
    found: dict[str, bool] = {}
    segment, rudder = (said.get(name) if isinstance(said.get(name), dict) else {} for name in MANAGERS)
    categories = (segment or {}).get("categoryPreferences")
    for category, is_given in categories.items() if isinstance(categories, dict) else ():
        if isinstance(is_given, bool):
            found[promise.purpose(str(category))] = is_given
    for ids, is_given in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        listed = (rudder or {}).get(ids)
        # why: what is both allowed and denied is denied
        found |= {promise.purpose(str(one)): is_given for one in (listed if isinstance(listed, list) else ())}
    return found


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
    if name == PREFERENCES:
        kept = msgspec.json.decode(row["properties"] or "{}")
        row["properties"] = json_text({**kept, "preferences": preferences_of(message, promise)})
    if not promise.events_need or name in NEEDS_NO_CONSENT or name == PREFERENCES:
        return []
    is_given = preferences_of(message, promise).get(promise.purpose(promise.events_need))
    return [] if is_given is None else [TOLD if is_given else NO_CONSENT]


def told_consents(vault: Vault, source: str, rows: pa.Table, promise: Promise) -> list[Consent]:
    """What good checked rows tell of consent, for the ledger."""
    chosen = rows.filter(pc.is_in(rows["name"], value_set=pa.array(TELLS_CONSENT)))
    columns = ["name", "event_id", "user_id", "anonymous_id", "occurred_at", "channel", "properties"]
    if "received_at" in rows.column_names:
        columns.append("received_at")
    return [one for row in chosen.select(columns).to_pylist() for one in _consents_of(vault, source, row, promise)]


def _consents_of(vault: Vault, source: str, row: dict[str, Any], promise: Promise) -> Iterable[Consent]:
    said = msgspec.json.decode(row["properties"] or "{}")
    is_user = row["user_id"] is not None
    token = vault.token("user_id" if is_user else "anonymous_id", row["user_id"] if is_user else row["anonymous_id"])
    if row["name"] == PREFERENCES:
        given = said.get("preferences")
        yes_or_no = {str(k): bool(v) for k, v in given.items()} if isinstance(given, dict) else {}
    else:
        yes_or_no = {promise.purpose(str(said.get("purpose", ""))): row["name"] == GIVEN}
    words = {name: _text(said.get(name)) for name in ("wording", "wording_version", "policy_version", "locale")}
    for purpose, is_given in yes_or_no.items():
        yield Consent(
            source,
            row["event_id"],
            token,
            purpose,
            is_given,
            _text(said.get("basis")) or CONSENT,
            **words,
            channel=row["channel"],
            occurred_at=written(row["occurred_at"]),
            received_at=written(row.get("received_at") or row["occurred_at"]),
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def without_consent(
    store: Store, vault: Vault, rows: pa.Table, promise: Promise, ahead: Sequence[Consent] = ()
) -> pa.Table:
    """Flag checked rows of behaviour without the consent it needs, or mark them as dead; others stay as they are.

    `ahead` is what was told and is not in the ledger yet.
    """
    if not promise.events_need or not rows.num_rows:
        return rows
    lacking = _lacking(store, vault, rows, promise, ahead)
    flags = [
        f"{told},{NO_CONSENT}" if lacks and told else NO_CONSENT if lacks else told
        for lacks, told in zip(lacking, rows["flags"].to_pylist(), strict=True)
    ]
    rows = rows.set_column(rows.column_names.index("flags"), "flags", pa.array(flags, pa.string()))
    if promise.without == "keep":
        return rows
    is_gone = pa.array([one is not None and NO_CONSENT in one.split(",") for one in flags], pa.bool_())
    is_gone = pc.and_(is_gone, pc.is_null(rows["problem"]))
    for name, value in (("problem", pa.scalar(NO_CONSENT)), ("payload", rows["event_id"])):
        changed = pc.if_else(is_gone, value, rows[name])
        rows = rows.set_column(rows.column_names.index(name), name, changed)
    return rows


def _lacking(store: Store, vault: Vault, rows: pa.Table, promise: Promise, ahead: Sequence[Consent]) -> list[bool]:
    purpose = promise.purpose(promise.events_need)
    names = ("name", "problem", "flags", "user_id", "anonymous_id", "occurred_at")
    told = list(zip(*(rows[name].to_pylist() for name in names), strict=True))
    tokens: dict[tuple[str, str], str] = {}
    for name, problem, flags, user, device, _ in told:
        if _is_asked(name, problem, flags):
            tokens |= {(kind, one): "" for kind, one in (("user_id", user), ("anonymous_id", device)) if one}
    tokens = {who: vault.token(*who) for who in tokens}
    ledger: dict[str, list[Any]] = {}
    for entry in history(store, tokens.values(), purpose):
        ledger.setdefault(str(entry["token"]), []).append(entry)
    for number, one in enumerate(ahead):
        if one.purpose == purpose:
            ledger.setdefault(one.token, []).append({**vars(one), "entry": number})
    lacking = []
    for name, problem, flags, user, device, at in told:
        is_lacking = False
        if _is_asked(name, problem, flags):
            entries = (ledger.get(tokens[who], ()) for who in (("user_id", user), ("anonymous_id", device)) if who[1])
            said = (is_given_at(of, at) for of in entries)
            is_lacking = not promise.allows(is_given=next((one for one in said if one is not None), None))
        lacking.append(is_lacking)
    return lacking


def _is_asked(name: str, problem: str | None, flags: str | None) -> bool:
    """Whether the ledger decides: behaviour of which the client itself said nothing."""
    said = (flags or "").split(",")
    return problem is None and name not in NEEDS_NO_CONSENT and name != PREFERENCES and not {TOLD, NO_CONSENT} & {*said}
