"""Fitted models on disk, field by field: a dataclass's type hints say how each field is written and read again.

Plain values are in one JSON file, whose floats keep every bit. Arrays are in it as lists, or in an npz next to it where
the class names one. A part that saves itself, such as trees, is in a folder of its own, by default named as the field.
Never a pickle.
"""

from collections.abc import Collection, Mapping
from dataclasses import Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from patron.schema.json_files import read_json, write_json

FOLDER = "folder"
"""Key of a field's metadata: the folder of a part, below the model's."""
SAME_FOLDER: Mapping[str, str] = {FOLDER: "."}
"""Metadata of a part whose files are next to the model's own."""
IN_JSON: Mapping[str, str] = {FOLDER: ""}
"""Metadata of a part that is among the plain values."""
Kinds = Mapping[str, type[Any]]
"""Classes by name, for fields whose hint is a protocol: their JSON names the class."""


class Saved:
    """A dataclass that is saved into a folder: `class FittedMean(Saved, file="rule.json")`."""

    file: ClassVar[str] = ""
    """The JSON of its plain values; a class of parts alone has none."""
    arrays: ClassVar[str] = ""
    """The npz of its arrays; without one they are lists in the JSON."""
    kinds: ClassVar[Kinds] = {}

    def __init_subclass__(cls, *, file: str = "", arrays: str = "", **options: Any) -> None:
        """Name the files; a subclass that names none has those of its base."""
        super().__init_subclass__(**options)
        if file:
            cls.file, cls.arrays = file, arrays

    def save(self, folder: Path) -> None:
        """Write the fields into a folder, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        content, arrays = {}, {}
        for field in saved_fields(type(self)):
            value, hint = getattr(self, field.name), hints_of(type(self))[field.name]
            if is_part(hint) and field.metadata != IN_JSON:
                save_part(value, _folder_of(field, folder))
            elif is_part(_value_hint(hint)):
                for name, part in value.items():
                    save_part(part, folder / name)
                content[field.name] = list(value)
            elif self.arrays and is_array(hint):
                arrays |= {} if value is None else {field.name: value}
            else:
                content[field.name] = to_json(value, hint, self.kinds)
        if arrays:
            np.savez(folder / self.arrays, **arrays)
        if self.file:
            write_json(folder / self.file, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the model predicts the same to the last bit."""
        content = read_json(folder / cls.file) if cls.file else {}
        if cls.arrays:
            with np.load(folder / cls.arrays, allow_pickle=False) as arrays:
                content |= dict(arrays)
        loaded = {}
        for field in saved_fields(cls):
            hint, path = hints_of(cls)[field.name], _folder_of(field, folder)
            if is_part(hint) and field.metadata != IN_JSON:
                loaded[field.name] = cls.part_kind(field.name, content).load(path) if path.exists() else None
            elif is_part(_value_hint(hint)):
                loaded[field.name] = {
                    name: cls.part_kind(name, content).load(folder / name) for name in content[field.name]
                }
            elif field.name in content:
                loaded[field.name] = from_json(content[field.name], hint, cls.kinds)
            elif is_array(hint):
                loaded[field.name] = None
        return cls(**loaded)

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:  # noqa: ARG003 - for classes that hold parts of several kinds
        """Class of the part of a field; by default that of its hint, else as the rest of the content says."""
        return _without_none(hints_of(cls)[name])


class SavedFile:
    """A dataclass that is saved as one JSON file, with the name of its kind where it has one."""

    kind: ClassVar[str] = ""

    def save(self, path: Path | str) -> None:
        """Write the fields as JSON."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote."""
        return cls.from_dict(read_json(Path(path)))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return ({"kind": self.kind} if self.kind else {}) | fields_to_json(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild from what `to_dict` returns."""
        return fields_from_json(cls, saved)


def fields_to_json(value: Any, *, without: Collection[str] = (), kinds: Kinds | None = None) -> dict[str, Any]:
    """The fields of a dataclass as JSON holds them."""
    hints = hints_of(type(value))
    names = [field.name for field in saved_fields(type(value)) if field.name not in without]
    return {name: to_json(getattr(value, name), hints[name], kinds) for name in names}


def to_json(value: Any, hint: Any = Any, kinds: Kinds | None = None) -> Any:
    """A value as JSON holds it; one whose hint is a protocol with the name of its class among the kinds."""
    if hasattr(value, "to_dict"):
        state = value.to_dict()
    elif is_dataclass(value) and not isinstance(value, type):
        state = fields_to_json(value, kinds=kinds)
    elif isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    elif isinstance(value, Mapping):
        return {name: to_json(one, _value_hint(hint), kinds) for name, one in value.items()}
    elif isinstance(value, tuple | list):
        return [to_json(one, inner, kinds) for one, inner in zip(value, _item_hints(hint, len(value)), strict=True)]
    else:
        return value
    if not _is_protocol(hint):
        return state
    return {"kind": next(name for name, kind in (kinds or {}).items() if kind is type(value)), "state": state}


def from_json(saved: Any, hint: Any, kinds: Kinds | None = None) -> Any:
    """What `to_json` gave as a value of its hint; fields that an earlier version did not write have their defaults."""
    hint, value = _without_none(hint), saved
    if saved is None or hint is Any:
        return saved
    if _is_protocol(hint):
        value = from_json(saved["state"], (kinds or {})[saved["kind"]], kinds)
    elif isinstance(hint, type) and isinstance(saved, hint):
        return saved
    elif hasattr(hint, "from_dict"):
        value = hint.from_dict(saved)
    elif is_dataclass(hint):
        value = fields_from_json(hint, saved, kinds)
    elif is_array(hint):
        value = saved if isinstance(saved, np.ndarray) else np.array(saved, dtype=get_args(get_args(hint)[1])[0])
    elif get_origin(hint) is tuple:
        hints = _item_hints(hint, len(saved))
        value = tuple(from_json(one, inner, kinds) for one, inner in zip(saved, hints, strict=True))
    elif isinstance(saved, dict):
        value = {name: from_json(one, _value_hint(hint), kinds) for name, one in saved.items()}
    return value


def fields_from_json(kind: Any, saved: Mapping[str, Any], kinds: Kinds | None = None) -> Any:
    """A dataclass from what `fields_to_json` gave; a field that is not there has its default."""
    hints = hints_of(kind)
    names = [field.name for field in saved_fields(kind) if field.name in saved]
    return kind(**{name: from_json(saved[name], hints[name], kinds) for name in names})


@cache
def hints_of(kind: type[Any]) -> Mapping[str, Any]:
    """Type hints of a class, its bases' too."""
    return get_type_hints(kind)


@cache
def saved_fields(kind: type[Any]) -> tuple[Field[Any], ...]:
    """Fields of a dataclass that its constructor takes."""
    return tuple(field for field in fields(kind) if field.init)


def is_part(hint: Any) -> bool:
    """Whether values of a hint save themselves into a folder."""
    kind = _without_none(hint)
    return (
        isinstance(kind, type) and hasattr(kind, "save") and hasattr(kind, "load") and not issubclass(kind, SavedFile)
    )


def is_array(hint: Any) -> bool:
    """Whether values of a hint are arrays."""
    return get_origin(_without_none(hint)) is np.ndarray


def save_part(part: Any, folder: Path) -> None:
    """Save a part into a folder of its own; of one that is not there nothing is written."""
    if part is not None:
        folder.mkdir(exist_ok=True)
        part.save(folder)


def _folder_of(field: Field[Any], folder: Path) -> Path:
    return folder / field.metadata.get(FOLDER, field.name)


def _without_none(hint: Any) -> Any:
    """The type of an optional one; several others are as they are."""
    others = [one for one in get_args(hint) if one is not type(None)]
    is_union = get_origin(hint) in {Union, UnionType}
    return others[0] if is_union and len(others) == 1 else Any if is_union else hint


def _value_hint(hint: Any) -> Any:
    arguments = get_args(hint) if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping) else ()
    return arguments[1] if arguments else Any


def _item_hints(hint: Any, count: int) -> tuple[Any, ...]:
    arguments = get_args(_without_none(hint)) or (Any, ...)
    return arguments[:1] * count if len(arguments) == 1 or arguments[1] is ... else arguments


def _is_protocol(hint: Any) -> bool:
    return getattr(_without_none(hint), "_is_protocol", False)
