"""What is wrong with a text that is not SQL."""

from sqlglot.errors import SqlglotError

from patron.schema.sentences import Sentence

NOT_SQL = Sentence("not_sql", "is not SQL")
NOT_SQL_AT = Sentence("not_sql_at", "is not SQL (in line {line}, column {column})")
NOT_SQL_NEAR = Sentence("not_sql_near", "is not SQL (near {text!r} in line {line}, column {column})")


def syntax_problem(error: SqlglotError) -> str:
    """Where a text stops being SQL, in our words."""
    place = next(iter(getattr(error, "errors", ())), {})
    if not place.get("line"):
        return NOT_SQL
    at = {"line": place["line"], "column": place["col"]}
    return NOT_SQL_NEAR(text=place["highlight"], **at) if place.get("highlight") else NOT_SQL_AT(**at)
