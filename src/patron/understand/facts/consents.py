"""What customers agreed to or took back, as events told it."""

from patron.understand.facts.scope import Scope, owned, usable

TOLD = ("Consent Given", "Consent Withdrawn")


def consents(scope: Scope) -> str:
    """One row per yes or no to a purpose, in any order; the newest counts, and at the same moment a no."""
    names = "(" + ", ".join(f"'{name}'" for name in TOLD) + ")"
    told = usable(scope, "properties", "known_at as link_at", where=f"e.name in {names}")
    said = ("source", "event_id", "name", "occurred_at", "properties", "user_token")

    def text(key: str) -> str:
        return f"json_extract_string(o.properties, '$.{key}')"

    return f"""
        select o.customer_id, lower(trim(coalesce({text("purpose")}, ''))) as purpose,
            o.name = '{TOLD[0]}' as is_given, o.user_token is not null as is_of_user,
            coalesce({text("basis")}, 'consent') as basis, {text("wording_version")} as wording_version,
            {text("policy_version")} as policy_version, o.source, o.event_id, o.occurred_at, o.known_at
        from ({owned(told, *said)}) o"""
