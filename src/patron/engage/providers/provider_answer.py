"""What a described provider says: of a message that it was handed, and later in its receipts."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from patron.engage.channels.channel import Outcome
from patron.engage.providers.provider_description import AnswerDescription, Code, ReceiptsDescription
from patron.engage.providers.provider_receipts import YEARS
from patron.engage.providers.receipts import BOUNCED, MESSAGE_ID, Receipt

SHOWN = re.compile("[A-Za-z0-9_-]{1,64}")
"""Codes and ids that a detail may show."""
MAX_DIGITS = 6
"""A longer number in a code may be the recipient's."""
NEVER_TAKEN = (402, 404, 405)
REFUSED = (401, 403)
MILLISECONDS = 10**11
"""Numbers from here on are milliseconds since 1970."""


@dataclass(frozen=True)
class ProviderAnswer:
    """What an answer means."""

    outcome: Outcome | None
    """None where the trouble is with the account, the address of the provider or the token, not with the message."""
    detail: str
    """Status and code; no personal data."""
    is_gone: bool = False
    """Whether there is no such address."""
    is_token_expired: bool = False


def read_answer(
    described: AnswerDescription, status: int, body: bytes, *, is_idempotent: bool, has_token: bool
) -> ProviderAnswer:
    """What an answer to a message means."""
    content = _json(body)
    code = _text_at(content, described.code_field) if described.code_field else ""
    shown = code if SHOWN.fullmatch(code) and sum(one.isdigit() for one in code) <= MAX_DIGITS else ""
    detail = f"HTTP {status}{f' code {shown}' if shown else ''}"
    if _is_in(code, described.token_expired) or (status == REFUSED[0] and has_token):
        return ProviderAnswer(None, detail, is_token_expired=True)
    meanings = (
        (described.no_such_address, ProviderAnswer(Outcome.REJECTED, detail, is_gone=True)),
        (described.unavailable, ProviderAnswer(None, detail)),
        (described.rejected, ProviderAnswer(Outcome.REJECTED, detail)),
        (described.deferred, ProviderAnswer(Outcome.DEFERRED, detail)),
    )
    by_code = next((meaning for codes, meaning in meanings if _is_in(code, codes)), None)
    lost = Outcome.DEFERRED if is_idempotent else Outcome.UNKNOWN
    if by_code is not None or status not in described.success_status:
        return by_code or ProviderAnswer(_outcome(described, status, lost), detail)
    if described.success_codes and not _is_in(code, described.success_codes):
        # why: an answer that the description does not know may be of one that was taken
        return ProviderAnswer(lost, detail)
    provider_id = _text_at(content, described.id_field) if described.id_field else ""
    return ProviderAnswer(Outcome.SENT, f"{detail} id {provider_id}" if SHOWN.fullmatch(provider_id) else detail)


def _outcome(described: AnswerDescription, status: int, lost: Outcome) -> Outcome | None:
    """What a status says that is no success."""
    if status in described.deferred_status:
        return Outcome.DEFERRED
    if 300 <= status < 400 or status in {*NEVER_TAKEN, *REFUSED}:
        return None
    return Outcome.REJECTED if 400 <= status < 500 else lost


def receipts_in(described: ReceiptsDescription, content: Any, zone: ZoneInfo) -> Iterator[Receipt]:
    """Receipts in what a provider posts; what is about no message of ours is left out. Raises ValueError."""
    rows = at_path(content, described.list_field) if described.list_field else content
    for row in rows if isinstance(rows, list) else [rows]:
        message_id, state = (_text_at(row, name) for name in (described.message_id_field, described.state_field))
        kind = described.states.get(state)
        if kind is None or not MESSAGE_ID.fullmatch(message_id):
            continue
        codes = {state, _text_at(row, described.code_field) if described.code_field else ""}
        is_gone = kind == BOUNCED and any(_is_in(code, described.no_such_address) for code in codes)
        yield Receipt(message_id, kind, _time(at_path(row, described.time_field), zone), is_gone)


def at_path(content: Any, path: str) -> Any:
    """What is at a path such as result.items.0.id; None where nothing is."""
    for name in path.split("."):
        if isinstance(content, dict):
            content = content.get(name)
        elif isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            return None
    return content


def json_of(body: bytes) -> Any:
    """Decoded JSON; None for anything else."""
    return _json(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _text_at(content: Any, path: str) -> str:
    value = at_path(content, path)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _is_in(code: str, codes: Iterable[Code]) -> bool:
    return any(code == str(one) for one in codes)


def _time(value: Any, zone: ZoneInfo) -> datetime:
    """A time of a receipt. Raises ValueError."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal()):
        number = float(value)
        at = datetime.fromtimestamp(number / 1000 if number >= MILLISECONDS else number, UTC)
    else:
        at = datetime.fromisoformat(str(value))
    if at.year not in YEARS:
        raise ValueError("the time is none that a message could have")
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
