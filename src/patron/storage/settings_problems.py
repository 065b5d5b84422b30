"""What is wrong with settings, in our words: which key, what it must be, what it is, and what was probably meant."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from patron.schema.common_sentences import SETTING_MISSING
from patron.schema.sentences import Sentence, Text, joined
from patron.schema.spelling import did_you_mean, hinted, known_are

SETTING_RULE = Sentence("setting_rule", "{setting} {rule}")
VALUE_GIVEN = Sentence("value_given", "{problem} (got {value})")
UNKNOWN_KEY = Sentence("unknown_key", "{setting} is not a known key")
MISSING_ONE_OF = Sentence("missing_one_of", "{setting} is missing; it is one of {choices}")
MUST_BE_ONE_OF = Sentence("must_be_one_of", "must be one of {choices}")
MUST_BE_WRITTEN = Sentence("must_be_written", "must be {choices}")
MUST_BE_LIST = Sentence("must_be_list", "must be a list in [ ]")
MUST_BE_TABLE = Sentence("must_be_table", "must be a table of keys and values")
KINDS = {
    "int": Sentence("must_be_whole_number", "must be a whole number"),
    "float": Sentence("must_be_number", "must be a number"),
    "finite": Sentence("must_be_finite", "must be a finite number"),
    "bool": Sentence("must_be_true_or_false", "must be true or false"),
    "string": Sentence("must_be_text", "must be a text in quotes"),
    "tuple": MUST_BE_LIST,
    "list": MUST_BE_LIST,
    "dict": MUST_BE_TABLE,
    "model": MUST_BE_TABLE,
}
"""What a value must be, by the start of the code of the error."""
WRITTEN_AS = {"from_address": "from"}
"""Keys that are written otherwise in a file, as Python reserves their name."""
TAGS = ("union_tag_invalid", "union_tag_not_found")
"""Codes of a section that could be one of several, and does not say which."""
LIMITS = {
    "greater_than": Sentence("must_be_above", "must be above {gt}"),
    "greater_than_equal": Sentence("must_be_at_least", "must be at least {ge}"),
    "less_than": Sentence("must_be_below", "must be below {lt}"),
    "less_than_equal": Sentence("must_be_at_most", "must be at most {le}"),
    "string_too_short": Sentence("too_few_characters", "must have {min_length} or more characters"),
    "too_short": Sentence("list_at_least", "must be a list of at least {min_length}"),
    "too_long": Sentence("list_at_most", "must be a list of at most {max_length}"),
    "string_pattern_mismatch": Sentence("written_as", "must be written as {pattern}"),
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> str:
    """Everything that is wrong, one after the other: "holdout.share must be at most 0.9 (got 7)".

    A list that is too short only because its items are wrong is not named as well.
    """
    errors = error.errors(include_url=False)
    within = {one["loc"][:-1] for one in errors}
    causes = [one for one in errors if one["type"] != "too_short" or one["loc"] not in within]
    return joined(_problem(cause, model) for cause in causes)


def unknown_key(name: str, known: Mapping[str, Any]) -> str:
    """That a key is not known, with the one that was probably meant or, without one, those that are known."""
    meant = did_you_mean(name.rpartition(".")[2], known)
    return hinted(UNKNOWN_KEY(setting=name), meant or known_are(sorted(known)))


def _problem(one: ErrorDetails, model: type[BaseModel]) -> str:
    (name, models), code = _place(one["loc"], model), one["type"]
    if code == "extra_forbidden":
        return unknown_key(name, _fields(_place(one["loc"][:-1], model)[1]))
    if code == "missing":
        return SETTING_MISSING(setting=name)
    if code in TAGS:
        return _tag_problem(f"{name}.{_discriminator(one)}", one, models)
    is_section = isinstance(one["input"], Mapping) or (code == "value_error" and isinstance(one["input"], list))
    rule = _rule(code, one)
    problem = SETTING_RULE(setting=name, rule=rule) if name else rule
    return hinted(problem if is_section else VALUE_GIVEN(problem=problem, value=repr(one["input"])), _meant(one))


def _discriminator(one: ErrorDetails) -> str:
    """The key that says which section it is."""
    return one.get("ctx", {})["discriminator"].strip("'")


def _tag_problem(name: str, one: ErrorDetails, models: Iterable[type[BaseModel]]) -> str:
    key = name.rpartition(".")[2]
    tags = [tag for model in models if key in model.model_fields for tag in _literals(model, key)]
    choices = ", ".join(tags)
    if one["type"] == "union_tag_not_found":
        return MISSING_ONE_OF(setting=name, choices=choices)
    value = one.get("ctx", {})["tag"]
    problem = SETTING_RULE(setting=name, rule=MUST_BE_ONE_OF(choices=choices))
    return hinted(VALUE_GIVEN(problem=problem, value=repr(value)), did_you_mean(value, tags))


def _rule(code: str, one: ErrorDetails) -> str:
    context = one.get("ctx", {})
    if code in LIMITS:
        rule = LIMITS[code]
        return rule(**{name: _number(value) for name, value in context.items() if name in rule.places})
    if code == "literal_error":
        return (MUST_BE_ONE_OF if _choices(one)[1:] else MUST_BE_WRITTEN)(choices=context["expected"])
    kind = next((text for start, text in KINDS.items() if code.startswith(f"{start}_")), None)
    if kind:
        return kind
    said = getattr(context.get("error"), "args", ())
    if said and isinstance(said[0], Text):  # why: what our own checks raise
        return said[0]
    return one["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _meant(one: ErrorDetails) -> str:
    if one["type"] != "literal_error":
        return ""
    return did_you_mean(str(one["input"]), _choices(one))


def _choices(one: ErrorDetails) -> list[str]:
    choices = one.get("ctx", {})["expected"].replace(" or ", ", ").split(", ")
    return [choice.strip("'") for choice in choices]


def _number(value: Any) -> Any:
    """A limit as people write it: 366, not 366.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _place(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, list[type[BaseModel]]]:
    """Where an error is as people write it, and the sections that may stand there.

    Of a field that may be one of several sections, pydantic says which: its class, or the value that tells them apart.
    """
    names: list[str] = []
    models = [model]
    for part in loc:
        fields = [one.model_fields[part] for one in models if isinstance(part, str) and part in one.model_fields]
        chosen = [one for one in models if _is_tag(one, part)]
        if fields:
            models = [section for field in fields for section in _sections(field.annotation)]
        elif chosen:
            models = chosen
            continue
        names.append(WRITTEN_AS.get(str(part), str(part)))
    return ".".join(names), models


def _fields(models: Iterable[type[BaseModel]]) -> Mapping[str, Any]:
    return {WRITTEN_AS.get(name, name): info for model in models for name, info in model.model_fields.items()}


def _is_tag(model: type[BaseModel], part: int | str) -> bool:
    return part == model.__name__ or any(part in _literals(model, name) for name in model.model_fields)


def _literals(model: type[BaseModel], name: str) -> tuple[Any, ...]:
    annotation = model.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field holds, alone, in a list, or one of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for one in getattr(annotation, "__args__", ()) for section in _sections(one)]
