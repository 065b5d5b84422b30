"""What is wrong with settings, in our words: which key, what it must be, what it is, and what was probably meant."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from patron.schema.spelling import did_you_mean

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text in quotes",
    "tuple": "a list in [ ]",
    "list": "a list in [ ]",
    "dict": "a table of keys and values",
    "model": "a table of keys and values",
}
"""What a value must be, by the start of the code of the error."""
WRITTEN_AS = {"from_address": "from"}
"""Keys that are written otherwise in a file, as Python reserves their name."""
LIMITS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} character long",
    "string_pattern_mismatch": "written as {pattern}",
    "literal_error": "one of {expected}",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> str:
    """Everything that is wrong, one after the other: "holdout.share must be at most 0.9 (got 7)"."""
    return "; ".join(_problem(one, model) for one in error.errors(include_url=False))


def unknown_key(name: str, known: Mapping[str, Any]) -> str:
    """That a key is not known, with the one that was probably meant or, without one, those that are known."""
    meant = did_you_mean(name.rpartition(".")[2], known)
    return f"{name} is not a known key. " + (meant or f"Known are {', '.join(sorted(known))}.")


def _problem(one: ErrorDetails, model: type[BaseModel]) -> str:
    name, code = ".".join(WRITTEN_AS.get(str(part), str(part)) for part in one["loc"]), one["type"]
    if code == "extra_forbidden":
        return unknown_key(name, _fields_at(model, one["loc"][:-1])).rstrip(".")
    if code == "missing":
        return f"{name} is missing"
    is_section = isinstance(one["input"], Mapping) or (code == "value_error" and isinstance(one["input"], list))
    of = "" if is_section else f" (got {one['input']!r})"
    return f"{name} {_rule(code, one)}{of}{_meant(one)}"


def _rule(code: str, one: ErrorDetails) -> str:
    if code in LIMITS:
        return f"must be {LIMITS[code].format(**one.get('ctx', {}))}"
    kind = next((text for start, text in KINDS.items() if code.startswith(f"{start}_")), None)
    if kind:
        return f"must be {kind}"
    return one["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _meant(one: ErrorDetails) -> str:
    if one["type"] != "literal_error":
        return ""
    choices = one.get("ctx", {})["expected"].replace(" or ", ", ").split(", ")
    meant = did_you_mean(str(one["input"]), [choice.strip("'") for choice in choices])
    return f". {meant}" if meant else ""


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> Mapping[str, Any]:
    """Fields of the section that an error is in."""
    for part in loc:
        if isinstance(part, str):
            found = _model_in(model.model_fields[part].annotation)
            if found is None:
                return {}
            model = found
    return {WRITTEN_AS.get(name, name): info for name, info in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in getattr(annotation, "__args__", ()) if (found := _model_in(one))), None)
