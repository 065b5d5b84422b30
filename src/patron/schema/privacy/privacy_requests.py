"""Requests of people about their data: kinds, deadlines, and why one may be rejected."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from patron.schema.privacy.personal_keys import PLAIN

KINDS = ("access", "portability", "erasure", "rectification", "objection")
SOURCES = ("email", "phone", "letter", "chat", "form", "in_person")
"""How a request arrives."""
REJECTIONS = ("identity_not_proven", "must_be_kept", "unfounded", "excessive", "withdrawn")
"""Why a request may be rejected; withdrawn: by the person."""
EXTENSIONS = ("complex", "many_requests")
"""Why a deadline may be extended, once: the two reasons that GDPR article 12(3) names."""
EXTENDED_MONTHS = 3
"""Months from the receipt to an extended deadline."""
CONTACT_FIELDS = ("email", "phone")
CORRECTABLE = ("first_name", "last_name", *CONTACT_FIELDS, *(one for one in PLAIN if one != "timezone"))
"""Fields of a person that the desk corrects: who they are, and traits that are stored in clear."""
MAX_VALUE_LENGTH = 200
MAX_CHARACTERS = 4_000


@dataclass(frozen=True)
class RequestContent:
    """What a request says; it is stored sealed."""

    how: str = ""
    """Kind of identifier: email, phone, user_id, anonymous_id or customer_id."""
    identifier: str = ""
    words: str = ""
    """The request, as its writer put it."""
    match: str = ""
    """Whom the identifier names: customer, nobody, or erased for somebody who was erased before."""
    note: str = ""
    """What was answered, as the officer put it."""
    corrections: tuple[str, ...] = ()
    """What was corrected, field by field, each with its reason."""
    files_left: tuple[str, ...] = ()
    """After an erasure: files that somebody must look at."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "RequestContent":
        """Read a content as it is stored."""
        known = {field_.name: content[field_.name] for field_ in fields(cls) if field_.name in content}
        lists = {name: tuple(known.get(name, ())) for name in ("files_left", "corrections")}
        return cls(**{**known, **lists})


def due_time(received_at: datetime, months: int = 1) -> datetime:
    """Some months later, as GDPR article 12 counts: the same day of that month, or its last."""
    year, month = divmod(received_at.year * 12 + received_at.month - 1 + months, 12)
    day = min(received_at.day, monthrange(year, month + 1)[1])
    return received_at.replace(year=year, month=month + 1, day=day)
