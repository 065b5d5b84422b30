"""Checks of a mapping file: its keys and the names of its events are known ones."""

from collections.abc import Collection
from typing import Any

from patron.schema.common_sentences import USE_ONE_OF
from patron.schema.errors import BadMapping
from patron.schema.events import BY_NAME
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean

PART_NO_EVENT = Sentence("part_no_event", "part {part}: there is no event {name!r}")
SEE_EVENTS = Sentence("see_events", "The names are in docs/reference/events.md.")


def require_known_keys(
    keys: Collection[str], known: Collection[str], where: str, unknown: Sentence, **values: str
) -> None:
    """Raise BadMapping for a key that is not known; `unknown` says it of a key and these values."""
    for key in sorted(set(keys) - set(known)):
        todo = both(did_you_mean(key, known), USE_ONE_OF(names=", ".join(sorted(known))))
        raise BadMapping(unknown(key=key, **values), where=where, todo=todo)


def check_events(part: str, event: Any, where: str) -> None:
    """Raise BadMapping for an event name outside the catalogue, also one that an expression gives."""
    for name in event_names(event):
        if name not in BY_NAME:
            todo = did_you_mean(name, BY_NAME) or SEE_EVENTS
            raise BadMapping(PART_NO_EVENT(part=part, name=name), where=where, todo=todo)


def event_names(event: Any) -> list[str]:
    """Names that a part's `event` states: the text itself, a constant, or the results of a CASE."""
    # why inside: a parser of SQL, which only mappings need, and events that come by themselves do not
    import sqlglot  # noqa: PLC0415
    from sqlglot import exp  # noqa: PLC0415
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    if isinstance(event, str):
        return [event]
    if not isinstance(event, dict):
        return []
    if "value" in event:
        return [str(event["value"])]
    try:
        tree = sqlglot.parse_one(f"select {event.get('sql', 'null')}", read="duckdb")
    except SqlglotError:
        return []  # why: the expression itself is refused later, with its fault
    results = [case.args.get("default") for case in tree.find_all(exp.Case)]
    results += [branch.args.get("true") for branch in tree.find_all(exp.If)]
    return [result.name for result in results if isinstance(result, exp.Literal) and result.is_string]
