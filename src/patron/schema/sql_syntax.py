"""What is wrong with a text that is not SQL."""

from sqlglot.errors import SqlglotError


def syntax_problem(error: SqlglotError) -> str:
    """Where a text stops being SQL, in our words."""
    place = next(iter(getattr(error, "errors", ())), {})
    near = f"near {place['highlight']!r} " if place.get("highlight") else ""
    at = f"({near}in line {place['line']}, column {place['col']})" if place.get("line") else ""
    return f"is not SQL {at}".rstrip()
