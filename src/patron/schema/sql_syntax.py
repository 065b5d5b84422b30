"""What is wrong with a text that is not SQL."""

from typing import TYPE_CHECKING

from patron.schema.sentences import Sentence

if TYPE_CHECKING:
    from sqlglot.errors import SqlglotError

NOT_SQL = Sentence("not_sql", "is not SQL")
NOT_SQL_AT = Sentence("not_sql_at", "is not SQL (in line {line}, column {column})")
NOT_SQL_NEAR = Sentence("not_sql_near", "is not SQL (near {text!r} in line {line}, column {column})")
MAX_WORD_LENGTH = 40
"""Letters of a word that a refusal repeats."""


def syntax_problem(error: "SqlglotError") -> str:
    """Where a text stops being SQL, in our words."""
    place = next(iter(getattr(error, "errors", ())), {})
    if not place.get("line"):
        return NOT_SQL
    at = {"line": place["line"], "column": place["col"]}
    return NOT_SQL_NEAR(text=place["highlight"], **at) if place.get("highlight") else NOT_SQL_AT(**at)


def syntax_problem_at(text: str, position: int, length: int) -> str:
    """Where a text stops being SQL, by the place in its bytes and their number."""
    data = text.encode()
    before = data[:position].decode(errors="ignore")
    at = {"line": before.count("\n") + 1, "column": len(before) - before.rfind("\n")}
    word = data[position : position + length].decode(errors="ignore")[:MAX_WORD_LENGTH]
    return NOT_SQL_NEAR(text=word, **at) if word else NOT_SQL_AT(**at)
